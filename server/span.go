package server

import (
	"context"
	"errors"
	"time"

	"github.com/kongring/kongring/server/pdk"
	"github.com/kongring/kongring/server/wire"
)

// Tracer follows events for a tracing system, such as package spans does for
// OpenTelemetry. Its methods are called by many goroutines at once, and what they
// take is added to each event.
type Tracer interface {
	// Begin is called before a handler, and may use its PDK as that does. It may
	// give nil, for an event that it does not follow.
	Begin(event EventInfo, kong *pdk.PDK) Span
}

// Span is one event in a tracing system. Its methods are called one at a time, but
// for Context, which any goroutine of the handler may call.
type Span interface {
	// Context gives the context that the event's is to come from; it may add
	// values to ctx.
	Context(ctx context.Context) context.Context
	// Call is told of a round trip that is over: its method, "" where it only
	// sent writes, when it began, and how it failed, if it did.
	Call(method string, began time.Time, err error)
	// End is told of the event's end. err is nil where the handler came to its
	// own end, by Exit too; else it says how it panicked, or why Kong gave the
	// event up.
	End(err error)
}

// EventInfo says what a handler is called for.
type EventInfo struct {
	Plugin string
	Entity string // id of the plugin entity in Kong
	Phase  string // as Kong names it
	// Headers tells whether the phase has a request, whose headers can be asked for.
	Headers bool
}

// WithTracer has a Tracer follow each event that comes over the rings or the
// socket. Without one, an event costs a look at a nil pointer, and so does a round
// trip.
func WithTracer(t Tracer) Option {
	return func(o *options) error { o.tracer = t; return nil }
}

// beginSpan tells the tracer of an event whose handler is to be called.
func (ev *event) beginSpan(kong *pdk.PDK) {
	t := ev.session.server.options.tracer
	if t == nil {
		return
	}
	ev.span = t.Begin(EventInfo{
		Plugin: ev.instance.plugin.name, Entity: ev.instance.key.entity, Phase: wire.PhaseNames[ev.phase],
		Headers: wire.Methods[wire.RequestGetHeader].Phases.Has(int(ev.phase)),
	}, kong)
}

// endSpan tells the span that its event has ended. The caller has ended all calls.
func (ev *event) endSpan(panicked string) {
	span := ev.span
	if span == nil {
		return
	}
	ev.span = nil
	switch {
	case panicked != "":
		span.End(errors.New(panicked))
	case ev.exited:
		span.End(nil)
	default:
		span.End(ev.over())
	}
}
