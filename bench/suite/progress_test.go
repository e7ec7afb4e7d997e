package suite

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/creack/pty"
	"github.com/stretchr/testify/require"
)

// In a pipe it is a line for each part, and now and then.
func TestProgressInAPipe(t *testing.T) {
	var out bytes.Buffer
	p := NewProgress(&out)
	p.begin(100)
	p.note("load %d\n", 1)
	for i := range 25 {
		p.step(2, "requests: %d", i)
	}
	p.step(50, "idle")
	p.end()
	require.Equal(t, `load 1
  0 %  requests: 0
 10 %  requests: 5
 20 %  requests: 10
 30 %  requests: 15
 40 %  requests: 20
 50 %  idle
`, out.String())
}

// On a terminal it is one line, which never wraps.
func TestProgressOnATerminal(t *testing.T) {
	for columns, want := range map[uint16]string{80: "  0 %  a very long name", 10: "  0 %  a ", 0: "  0 %  a very long name"} {
		terminal, tty, err := pty.Open()
		require.NoError(t, err)
		require.NoError(t, pty.Setsize(terminal, &pty.Winsize{Rows: 1, Cols: columns}))
		p := NewProgress(tty)
		p.begin(2)
		p.note("before\n")
		p.step(1, "a very long name")
		p.step(1, "b")
		p.end()
		require.NoError(t, tty.Close())
		text, _ := io.ReadAll(terminal) // a terminal without a program is an error
		require.NoError(t, terminal.Close())
		require.Equal(t, "\r\033[Kbefore\r\n\r\033[K"+want+"\r\033[K 50 %  b\r\033[K", strings.ReplaceAll(string(text), "\n\n", "\n"))
	}
}
