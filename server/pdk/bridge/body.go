package bridge

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/tinylib/msgp/msgp"
)

// Kinds of the pair that a body comes as.
const (
	bodyContent = 0 // the bytes
	bodyFile    = 1 // name of the file that nginx spooled it to
	bodyError   = 2 // why there is none
)

// SpooledBy says whose the files are that bodies come in: those of other users are
// not read, though this process might. Called before the first event, if at all.
func (c *Call) SpooledBy(uid uint32) { c.spooler = &uid }

// ToBody runs the call and gives its result as a body, which is never nil without
// an error. One that nginx spooled to a file is read here: the server needs the
// rights to do so, and the file has to be the worker's. The error wraps
// fs.ErrPermission where it is not.
func (c *Call) ToBody() ([]byte, error) {
	defer c.mu.Unlock()
	if err := c.get(); err != nil {
		return nil, err
	}
	n, b, err := msgp.ReadArrayHeaderBytes(c.result)
	if err != nil || n != 2 {
		return nil, errors.Join(err, ReturnTypeError("body"))
	}
	kind, b, err := msgp.ReadIntBytes(b)
	if err != nil {
		return nil, fmt.Errorf("decode body: %w", err)
	}
	text, err := bytesIn(b)
	if err != nil {
		return nil, fmt.Errorf("decode body: %w", err)
	}
	switch kind {
	case bodyContent:
		return append([]byte{}, text...), nil
	case bodyFile:
		return c.readSpooled(string(text))
	case bodyError:
		return nil, errors.New(string(text))
	}
	return nil, fmt.Errorf("decode body: kind %d", kind)
}

// readSpooled reads a file that the worker named. Only a regular file ends by
// itself: a device or a pipe could keep the handler for ever.
func (c *Call) readSpooled(name string) ([]byte, error) {
	file, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("body in %s, which is not a regular file", name)
	}
	if owner := info.Sys().(*syscall.Stat_t).Uid; c.spooler != nil && owner != *c.spooler {
		return nil, fmt.Errorf("body in %s, which is a file of uid %d, and not of the worker's: %w", name, owner, fs.ErrPermission)
	}
	var b bytes.Buffer
	b.Grow(int(min(info.Size(), 64<<20)) + bytes.MinRead) // one read for all but the longest
	_, err = b.ReadFrom(io.LimitReader(file, info.Size()))
	return b.Bytes(), err
}

// ToParsed runs the call and gives its result as a parsed body, of the types
// that ToValue gives, and its MIME type.
func (c *Call) ToParsed() (body interface{}, mimetype string, err error) {
	v, err := c.ToValue()
	if err != nil || v == nil {
		return nil, "", err
	}
	pair, ok := v.([]interface{})
	if !ok || len(pair) != 2 {
		return nil, "", ReturnTypeError("parsed body")
	}
	mimetype, _ = pair[1].(string)
	return pair[0], mimetype, nil
}
