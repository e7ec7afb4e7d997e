// Package exit has the ways in which a command of kongring ends.
package exit

import (
	"context"
	"errors"
	"fmt"
	"syscall"
)

// Statuses of the process.
const (
	Fine        = 0
	Failed      = 1 // it could not, or, of doctor: it found something
	Usage       = 2 // the command line makes no sense
	Interrupted = 130
)

// ErrFindings ends a command with status [Failed] and no word: it has said all.
var ErrFindings = errors.New("findings")

// usageError is about the command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// Misuse is an error about the command line: it ends the process with status
// [Usage].
func Misuse(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// Status gives the status that err ends the process with, and the line that it
// is to say first; "" for none. A reader that went away (EPIPE) asks for no word.
func Status(err error) (status int, line string) {
	var usage usageError
	switch {
	case err == nil:
		return Fine, ""
	case errors.Is(err, ErrFindings), errors.Is(err, syscall.EPIPE):
		return Failed, ""
	case errors.Is(err, context.Canceled):
		return Interrupted, "interrupted"
	case errors.As(err, &usage):
		return Usage, err.Error()
	}
	return Failed, err.Error()
}
