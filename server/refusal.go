package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/kongring/kongring/server/wire"
)

// Why an instance does not start or an event does not begin. The error that says
// more wraps one of them.
var (
	errNoPlugin   = errors.New("no such plugin in this server")
	errBadConfig  = errors.New("the config does not fit the plugin")
	errNoInstance = errors.New("no such instance")
	errNoPhase    = errors.New("the plugin has no handler for the phase")
	errBusy       = errors.New("the plugin has too many events under way")
	errStops      = errors.New("the plugin server stops")
)

// refusal is one of the reasons with words of its own.
type refusal struct {
	reason error
	text   string
	cause  error // or nil
}

// refused gives an error with the text that format and args make, which wraps
// the reason and what %w stands for.
func refused(reason error, format string, args ...interface{}) error {
	err := fmt.Errorf(format, args...)
	return &refusal{reason, err.Error(), errors.Unwrap(err)}
}

func (e *refusal) Error() string { return e.text }

func (e *refusal) Unwrap() []error {
	if e.cause == nil {
		return []error{e.reason}
	}
	return []error{e.reason, e.cause}
}

// statusOf is what an error is on the wire: by it the bridge decides, and never
// by a text.
func statusOf(err error) uint8 {
	switch {
	case errors.Is(err, errNoPlugin):
		return wire.StatusNoPlugin
	case errors.Is(err, errBadConfig):
		return wire.StatusBadConfig
	case errors.Is(err, errNoInstance):
		return wire.StatusNoInstance
	case errors.Is(err, errNoPhase):
		return wire.StatusNoPhase
	case errors.Is(err, errBusy):
		return wire.StatusBusy
	case errors.Is(err, errStops), errors.Is(err, context.Canceled), errors.Is(err, errClosed):
		return wire.StatusShutdown
	}
	return wire.StatusFailed
}
