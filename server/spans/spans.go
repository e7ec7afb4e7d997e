// Package spans makes OpenTelemetry spans of a plugin's events: one for each
// handler that runs, a child of the request's W3C trace context, and one for each
// PDK call that is slow.
//
//	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter))
//	defer provider.Shutdown(context.Background())
//	err := server.Run(spans.Of(provider), server.WithPlugin(...), ...)
//
// It knows OpenTelemetry's API alone: which SDK and which exporter is the
// program's choice, and a plugin that does not import this package has nothing of
// OpenTelemetry in it.
//
// The context of the event, kong.Context(), has the span: what the handler calls
// with it belongs to the same trace. kong.ServiceRequest does not pass the span on
// to the service by itself: see [Pass].
package spans

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/kongring/kongring/server"
	"github.com/kongring/kongring/server/pdk"
	"github.com/kongring/kongring/server/pdk/tracecontext"
)

// Name is the name of the instrumentation scope.
const Name = "github.com/kongring/kongring/server/spans"

// Attributes of spans.
const (
	AttributePlugin = attribute.Key("kong.plugin.name")
	AttributeEntity = attribute.Key("kong.plugin.id")
	AttributePhase  = attribute.Key("kong.phase")
)

// tracer implements server.Tracer.
type tracer struct {
	to   trace.Tracer
	slow time.Duration
}

// Option sets something about the spans.
type Option func(*tracer)

// SlowCalls sets how long a PDK call takes, at least, that has a span of its own;
// a millisecond unless set, 0 is every call that is a round trip.
func SlowCalls(d time.Duration) Option { return func(t *tracer) { t.slow = d } }

// Of makes spans by a provider. The getters of the headers traceparent and
// tracestate come along with events, as those that handlers ask for.
func Of(provider trace.TracerProvider, opts ...Option) server.Option {
	t := &tracer{to: provider.Tracer(Name), slow: time.Millisecond}
	for _, set := range opts {
		set(t)
	}
	return server.WithTracer(t)
}

// Begin implements server.Tracer.
func (t *tracer) Begin(event server.EventInfo, kong *pdk.PDK) server.Span {
	ctx := context.Background()
	if event.Headers {
		// Without one that makes sense the span begins a trace.
		if c, err := tracecontext.Of(kong); err == nil {
			ctx = trace.ContextWithRemoteSpanContext(ctx, remote(c))
		}
	}
	_, s := t.to.Start(ctx, event.Plugin+" "+event.Phase, trace.WithSpanKind(trace.SpanKindInternal), trace.WithAttributes(
		AttributePlugin.String(event.Plugin), AttributeEntity.String(event.Entity), AttributePhase.String(event.Phase),
	))
	return &span{tracer: t, span: s}
}

// remote gives a trace context as OpenTelemetry has it.
func remote(c tracecontext.Context) trace.SpanContext {
	state, _ := trace.ParseTraceState(c.State.String()) // by the same rules
	return trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: c.TraceID, SpanID: c.SpanID, TraceFlags: trace.TraceFlags(c.Flags), TraceState: state, Remote: true,
	})
}

// span implements server.Span.
type span struct {
	tracer *tracer
	span   trace.Span
}

func (s *span) Context(ctx context.Context) context.Context {
	return trace.ContextWithSpan(ctx, s.span)
}

func (s *span) Call(method string, began time.Time, err error) {
	now := time.Now()
	if now.Sub(began) < s.tracer.slow || !s.span.IsRecording() {
		return
	}
	if method == "" {
		method = "writes"
	}
	_, child := s.tracer.to.Start(s.Context(context.Background()), method,
		trace.WithTimestamp(began), trace.WithSpanKind(trace.SpanKindClient))
	fail(child, err)
	child.End(trace.WithTimestamp(now))
}

func (s *span) End(err error) {
	fail(s.span, err)
	s.span.End()
}

func fail(s trace.Span, err error) {
	if err != nil {
		s.RecordError(err)
		s.SetStatus(codes.Error, err.Error())
	}
}

// Pass has the service see the event's span as its caller, by the headers
// traceparent and tracestate of its request. It does nothing where there is no
// span. Phases: rewrite, access.
func Pass(kong *pdk.PDK) error {
	sc := trace.SpanContextFromContext(kong.Context())
	if !sc.IsValid() {
		return nil
	}
	state, _ := tracecontext.ParseState(sc.TraceState().String())
	return tracecontext.Context{
		TraceID: sc.TraceID(), SpanID: sc.SpanID(), Flags: byte(sc.TraceFlags()), State: state,
	}.Pass(kong)
}
