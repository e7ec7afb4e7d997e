package top

import (
	"errors"
	"io"
	"os"

	"golang.org/x/term"
)

// What a terminal understands, since the VT100.
const (
	enter      = "\x1b[?1049h\x1b[?25l\x1b[?7l" // another screen, no cursor, no wrapping
	leave      = "\x1b[?7h\x1b[?25h\x1b[?1049l"
	home       = "\x1b[H"
	clearLine  = "\x1b[K"
	clearBelow = "\x1b[J"
)

// screen is a terminal that hands over each key.
type screen struct {
	in, out *os.File
	was     *term.State
}

// open takes a terminal over. The caller calls close, also when it panics.
func open(in, out *os.File) (*screen, error) {
	was, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return nil, err
	}
	s := &screen{in, out, was}
	if err := s.draw(enter); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// close gives the terminal back as it was.
func (s *screen) close() error {
	_, err := io.WriteString(s.out, leave)
	return errors.Join(err, term.Restore(int(s.in.Fd()), s.was))
}

func (s *screen) draw(text string) error {
	_, err := io.WriteString(s.out, text)
	return err
}

// size is the terminal's, in characters. One that does not know it is a VT100.
func (s *screen) size() (width, height int) {
	width, height, err := term.GetSize(int(s.out.Fd()))
	if err != nil || width <= 0 || height <= 0 {
		return 80, 24
	}
	return width, height
}

// keys gives each key that is pressed, and is closed when the terminal is gone.
// The goroutine behind it ends then, or with the process.
func (s *screen) keys() <-chan byte {
	pressed := make(chan byte)
	go func() {
		defer close(pressed)
		var b [1]byte
		for {
			if _, err := s.in.Read(b[:]); err != nil {
				return
			}
			pressed <- b[0]
		}
	}()
	return pressed
}
