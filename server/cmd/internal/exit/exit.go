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
	Fine     = 0
	Failed   = 1   // it could not, or, of doctor: it found something
	Usage    = 2   // the command line makes no sense
	Signaled = 128 // and the number of the signal, as shells have it
)

// Signal is the cause of a context that a signal ended.
type Signal struct{ syscall.Signal }

func (s Signal) Error() string { return "ended by: " + s.Signal.String() }

// Is says that it is a context's end.
func (s Signal) Is(target error) bool { return target == context.Canceled }

// Interrupted is what Ctrl-C ends a command with, also where the terminal hands
// it over as a key.
var Interrupted error = Signal{syscall.SIGINT}

// ErrFindings ends a command with status [Failed] and no word: it has said all.
var ErrFindings = errors.New("findings")

// usageError is about the command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// Misuse is an error about the command line: it ends the process with status
// [Usage].
func Misuse(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// Status gives the status that err ends the process with, and the line that it
// is to say first; "" for none.
func Status(err error) (status int, line string) {
	var usage usageError
	var signal Signal
	switch {
	case err == nil:
		return Fine, ""
	case errors.Is(err, ErrFindings):
		return Failed, ""
	case errors.As(err, &signal):
		return Signaled + int(signal.Signal), err.Error()
	case errors.As(err, &usage):
		return Usage, err.Error()
	}
	return Failed, err.Error()
}
