package spans_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tinylib/msgp/msgp"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/kongring/kongring/server"
	"github.com/kongring/kongring/server/pdk"
	"github.com/kongring/kongring/server/spans"
	"github.com/kongring/kongring/server/wire"
	"github.com/kongring/kongring/shm"
)

const patience = 20 * time.Second

const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

// deeds are what the plugin of the tests does.
type deeds struct {
	Do string `json:"do"`

	seen chan trace.SpanContext
}

func (d *deeds) Access(kong *pdk.PDK) {
	d.seen <- trace.SpanContextFromContext(kong.Context())
	switch d.Do {
	case "ask":
		_, _ = kong.Request.GetPath()
		_, _ = kong.Request.GetHost()
	case "panic":
		panic("no luck")
	case "exit":
		kong.Response.ExitStatus(204)
	case "wait":
		<-kong.Context().Done()
	case "pass":
		_ = spans.Pass(kong)
	}
}

func (d *deeds) Certificate(kong *pdk.PDK) { d.seen <- trace.SpanContextFromContext(kong.Context()) }

// worker says what a worker of Kong would, over the socket.
type worker struct {
	t       *testing.T
	a       *shm.Attachment
	in      *bufio.Reader
	next    uint32
	writes  [][]byte // bodies of messages that brought some
	cancels bool     // the next event is given up when its handler runs
	seen    chan trace.SpanContext
}

// start runs a server with the plugin, whose spans go to the exporter.
func start(t *testing.T, opts ...server.Option) (w *worker, seen chan trace.SpanContext) {
	dir, err := os.MkdirTemp("", "spans")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	seen = make(chan trace.SpanContext, 1)
	s, err := server.New(append([]server.Option{
		server.WithSocket(filepath.Join(dir, "s")), server.WithGrace(patience), server.WithoutPrefetch(),
		server.WithLogger(slog.New(slog.DiscardHandler)),
		server.WithPlugin("deeds", func() interface{} { return &deeds{seen: seen} }, "0.1", 1),
	}, opts...)...)
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(context.Background()) }()
	t.Cleanup(func() {
		require.NoError(t, s.Close())
		require.ErrorIs(t, <-ended, server.ErrServerClosed)
	})
	w = &worker{t: t, seen: seen}
	require.Eventually(t, func() bool {
		w.a, err = shm.Dial(filepath.Join(dir, "s"), shm.Hello{Kind: shm.HelloAttachSocket, App: wire.Version, CPU: shm.CPUUnknown}, patience)
		return err == nil
	}, patience, time.Millisecond)
	t.Cleanup(func() { _ = w.a.Close() })
	w.in = bufio.NewReader(w.a)
	return w, seen
}

func (w *worker) send(head wire.Head, body []byte) {
	message := append(wire.AppendHead(nil, head), body...)
	_, err := w.a.Write(append(binary.LittleEndian.AppendUint32(nil, uint32(len(message))), message...))
	require.NoError(w.t, err)
}

func (w *worker) receive() (wire.Head, []byte) {
	late := time.AfterFunc(patience, func() { _ = w.a.Close() })
	defer late.Stop()
	var size [4]byte
	_, err := io.ReadFull(w.in, size[:])
	require.NoError(w.t, err)
	message := make([]byte, binary.LittleEndian.Uint32(size[:]))
	_, err = io.ReadFull(w.in, message)
	require.NoError(w.t, err)
	head, body, err := wire.ReadHead(message)
	require.NoError(w.t, err)
	if head.Type != wire.TypeStarted && head.Arg>>wire.ArgWrites > 0 {
		w.writes = append(w.writes, body)
	}
	return head, body
}

// event runs an event of a deed to its end. A header is answered by its name.
func (w *worker) event(phase uint8, do string, headers map[string]string) wire.Head {
	w.next++
	request := wire.StartInstance{Plugin: "deeds", Key: "entity", Config: []byte(`{"do":"` + do + `"}`)}
	body, err := request.MarshalMsg(nil)
	require.NoError(w.t, err)
	w.send(wire.Head{Type: wire.TypeStart, Generation: w.next}, body)
	started, text := w.receive()
	require.EqualValues(w.t, wire.StatusOK, started.Code, "%s", text)
	w.next++
	event := wire.Head{Type: wire.TypeEvent, Code: phase, Generation: w.next, Arg: started.Arg}
	w.send(event, nil)
	for asked := 0; ; asked++ {
		if w.cancels && asked == len(headers)+1 { // all that is asked for before the handler
			<-w.seen
			w.send(wire.Head{Type: wire.TypeCancel, Code: wire.StatusDeadline, Generation: w.next}, msgp.AppendString(nil, "too late"))
			return event
		}
		head, body := w.receive()
		if head.Type != wire.TypeCall {
			return head
		}
		id := wire.MethodID(head.Arg & wire.ArgMethod)
		value := msgp.AppendNil(nil)
		if id == wire.RequestGetHeader {
			_, body, err = msgp.ReadArrayHeaderBytes(body)
			require.NoError(w.t, err)
			name, _, err := msgp.ReadStringBytes(body)
			require.NoError(w.t, err)
			value = msgp.AppendString(nil, headers[name])
		}
		head.Type, head.Arg = wire.TypeReturn, 0
		w.send(head, value)
	}
}

// exported waits until so many spans are there.
func exported(t *testing.T, exporter *tracetest.InMemoryExporter, n int) tracetest.SpanStubs {
	require.Eventually(t, func() bool { return len(exporter.GetSpans()) >= n }, patience, time.Millisecond)
	require.Len(t, exporter.GetSpans(), n)
	all := exporter.GetSpans()
	exporter.Reset()
	return all
}

func TestSpans(t *testing.T) {
	exporter := tracetest.NewInMemoryExporter()
	provider := sdk.NewTracerProvider(sdk.WithSyncer(exporter))
	t.Cleanup(func() { require.NoError(t, provider.Shutdown(context.Background())) })
	w, seen := start(t, spans.Of(provider, spans.SlowCalls(0)))
	headers := map[string]string{"traceparent": parent, "tracestate": "a=b"}

	w.event(wire.PhaseAccess, "ask", headers)
	inside := <-seen
	all := exported(t, exporter, 3)
	event := all[2]
	require.Equal(t, "deeds access", event.Name)
	require.Equal(t, "00f067aa0ba902b7", event.Parent.SpanID().String())
	require.True(t, event.Parent.IsRemote())
	require.Equal(t, "4bf92f3577b34da6a3ce929d0e0e4736", event.SpanContext.TraceID().String())
	require.Equal(t, "a=b", event.SpanContext.TraceState().String())
	require.Equal(t, event.SpanContext.SpanID(), inside.SpanID(), "the event's context has it")
	require.Equal(t, codes.Unset, event.Status.Code)
	require.Contains(t, event.Attributes, spans.AttributePlugin.String("deeds"))
	require.Contains(t, event.Attributes, spans.AttributeEntity.String("entity"))
	require.Contains(t, event.Attributes, spans.AttributePhase.String("access"))
	for i, name := range []string{"kong.request.get_path", "kong.request.get_host"} {
		require.Equal(t, name, all[i].Name)
		require.Equal(t, event.SpanContext.SpanID(), all[i].Parent.SpanID())
		require.False(t, all[i].StartTime.Before(event.StartTime))
		require.False(t, all[i].EndTime.After(event.EndTime))
	}

	// A trace of its own, where the request brings none or Kong has no request.
	w.event(wire.PhaseAccess, "", nil)
	<-seen
	require.False(t, exported(t, exporter, 1)[0].Parent.IsValid())
	w.event(wire.PhaseCertificate, "", headers)
	<-seen
	require.False(t, exported(t, exporter, 1)[0].Parent.IsValid())
}

func TestEnds(t *testing.T) {
	exporter := tracetest.NewInMemoryExporter()
	provider := sdk.NewTracerProvider(sdk.WithSyncer(exporter))
	t.Cleanup(func() { require.NoError(t, provider.Shutdown(context.Background())) })
	w, seen := start(t, spans.Of(provider, spans.SlowCalls(time.Hour)))
	headers := map[string]string{"traceparent": parent}

	done := w.event(wire.PhaseAccess, "panic", headers)
	<-seen
	require.EqualValues(t, wire.StatusPanic, done.Code)
	event := exported(t, exporter, 1)[0] // no call is as slow as that
	require.Equal(t, codes.Error, event.Status.Code)
	require.Equal(t, "no luck", event.Status.Description)

	require.EqualValues(t, wire.TypeExit, w.event(wire.PhaseAccess, "exit", headers).Type)
	<-seen
	require.Equal(t, codes.Unset, exported(t, exporter, 1)[0].Status.Code)

	// Kong gives the event up.
	w.cancels = true
	w.event(wire.PhaseAccess, "wait", headers)
	event = exported(t, exporter, 1)[0]
	require.Equal(t, codes.Error, event.Status.Code)
	require.Contains(t, event.Status.Description, "too late")
}

// The service sees the event as its caller.
func TestPass(t *testing.T) {
	exporter := tracetest.NewInMemoryExporter()
	provider := sdk.NewTracerProvider(sdk.WithSyncer(exporter))
	t.Cleanup(func() { require.NoError(t, provider.Shutdown(context.Background())) })
	w, seen := start(t, spans.Of(provider))
	w.event(wire.PhaseAccess, "pass", map[string]string{"traceparent": parent, "tracestate": "a=b"})
	<-seen
	event := exported(t, exporter, 1)[0]
	require.Len(t, w.writes, 1)
	require.Contains(t, string(w.writes[0]), "00-4bf92f3577b34da6a3ce929d0e0e4736-"+event.SpanContext.SpanID().String()+"-01")
	require.Contains(t, string(w.writes[0]), "a=b")
}

// Without a tracer nothing is asked for it, and the context has no span.
func TestOff(t *testing.T) {
	w, seen := start(t)
	require.EqualValues(t, wire.TypeDone, w.event(wire.PhaseAccess, "pass", nil).Type)
	require.False(t, (<-seen).IsValid())
	require.Empty(t, w.writes)
}
