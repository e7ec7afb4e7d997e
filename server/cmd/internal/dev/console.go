package dev

import (
	"fmt"
	"io"
	"os"
	"sync"
)

// console is where this command says what happens, between the lines of the
// servers. Its methods may be called from any goroutine.
type console struct {
	mu sync.Mutex
	to io.Writer
}

// say writes a line of this command.
func (c *console) say(format string, args ...any) {
	fmt.Fprintf(c, "kongring: "+format+"\n", args...)
}

// Write writes lines of a program.
func (c *console) Write(text []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.to.Write(text)
}

// writer is what the servers write to: the file itself where there is one, so that
// their last lines come through whoever has ended by then.
func (c *console) writer() io.Writer {
	if file, ok := c.to.(*os.File); ok {
		return file
	}
	return c
}
