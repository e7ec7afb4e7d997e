package server_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/server"
	"github.com/kongring/kongring/server/pdk"
	"github.com/kongring/kongring/server/wire"
)

// follower is a Tracer that writes down what it is told.
type follower struct {
	told chan string
	skip atomic.Bool
}

func (f *follower) Begin(event server.EventInfo, _ *pdk.PDK) server.Span {
	if f.skip.Load() {
		return nil
	}
	f.told <- fmt.Sprint("begin ", event)
	return f
}

type inside struct{}

func (f *follower) Context(ctx context.Context) context.Context {
	return context.WithValue(ctx, inside{}, f)
}

func (f *follower) Call(method string, began time.Time, err error) {
	if began.IsZero() || began.After(time.Now()) {
		f.told <- "a time that makes no sense"
	}
	f.told <- method
}

func (f *follower) End(err error) {
	if err == nil {
		err = errors.New("fine")
	}
	f.told <- err.Error()
}

func TestTracer(t *testing.T) {
	f := &follower{told: make(chan string, 8)}
	contexts := make(chan bool, 1)
	_, socket := start(t, server.WithTracer(f), withScript(func(s *scripted, kong *pdk.PDK) {
		contexts <- kong.Context().Value(inside{}) == f
		_, _ = kong.Request.GetPath()
		if s.Name == "panic" {
			panic("boom")
		}
	}))
	w := attach(t, socket)
	begin := "begin {scripted entity access true}"
	calm, panics := w.instance("scripted", `{}`), w.instance("scripted", `{"name":"panic"}`)
	w.oneEvent(0, calm)
	require.True(t, <-contexts)
	require.Equal(t, []string{begin, "kong.request.get_path", "fine"}, []string{<-f.told, <-f.told, <-f.told})

	w.expectPanic(w.event(0, panics)) // the log's own calls are told too
	require.True(t, <-contexts)
	told := []string{}
	for len(told) == 0 || told[len(told)-1] != "boom" {
		told = append(told, <-f.told)
	}
	require.Equal(t, []string{begin, "kong.request.get_path"}, told[:2])

	f.skip.Store(true) // one event after the other: nobody reads it meanwhile
	w.oneEvent(0, calm)
	require.False(t, <-contexts)
	require.Empty(t, f.told)

	// One that Kong gives up says why.
	f.skip.Store(false)
	head := w.event(0, calm)
	w.expect(wire.TypeCall, head)
	w.cancel(head, wire.StatusDeadline, "too late")
	require.Equal(t, begin, <-f.told)
	require.Equal(t, "kong.request.get_path", <-f.told)
	require.Equal(t, "the event is over: too late", <-f.told)
}

// Who has no tracer pays nothing for it.
func TestNoTracerAllocatesNothing(t *testing.T) {
	require.Zero(t, server.AllocsOfNoTracer())
}
