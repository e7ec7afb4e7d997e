package server_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/server"
	"github.com/kongring/kongring/server/pdk"
	"github.com/kongring/kongring/server/wire"
)

// held is a plugin whose handlers wait until they are let go.
type held struct{ release chan struct{} }

func (h *held) Access(*pdk.PDK) { <-h.release }
func (h *held) Log(*pdk.PDK)    { <-h.release }

func withHeld(release chan struct{}, opts ...server.PluginOption) server.Option {
	return server.WithPlugin("held", func() interface{} { return &held{release} }, "0.1", 1, opts...)
}

// ended expects the end of an event, and gives its status.
func (w *worker) ended(head wire.Head) uint8 {
	w.t.Helper()
	done, _ := w.expect(wire.TypeDone, head)
	return done.Code
}

// log begins an event of the log phase.
func (w *worker) log(slot uint16, instance uint32) wire.Head {
	w.t.Helper()
	head := w.head(wire.TypeEvent, slot)
	head.Code, head.Arg = wire.PhaseLog, instance
	w.send(head, nil)
	return head
}

func TestAPluginThatBlocksTakesNobodysRoom(t *testing.T) {
	release := make(chan struct{})
	s, socket := start(t, withHeld(release, server.MaxEvents(3)), withScript(func(*scripted, *pdk.PDK) {}))
	w, other := attach(t, socket), attach(t, socket)
	blocks, quick := w.instance("held", `{}`), w.instance("scripted", `{}`)

	var under []wire.Head
	for slot := range uint16(3) { // an instance starts in slot 0
		under = append(under, w.event(10+slot, blocks))
	}
	require.Equal(t, uint8(wire.StatusBusy), w.ended(w.event(3, blocks)), "one too many")
	again := w.instance("held", `{"a":1}`)
	require.Equal(t, uint8(wire.StatusBusy), w.ended(w.event(3, again)), "another instance is no way around")
	require.Equal(t, uint8(wire.StatusOK), w.ended(w.event(3, quick)), "another plugin")

	logs := []wire.Head{w.log(4, blocks), w.log(5, again)}
	require.Equal(t, uint8(wire.StatusBusy), w.ended(w.log(6, blocks)), "of log events, two of three")
	require.Equal(t, uint8(wire.StatusOK), w.ended(w.event(3, quick)))

	elsewhere := other.event(0, other.instance("held", `{}`))

	close(release)
	for range append(under, logs...) {
		done, _ := w.receive()
		require.Equal(t, uint8(wire.StatusOK), done.Code, "%+v", done)
	}
	require.Equal(t, uint8(wire.StatusOK), other.ended(elsewhere), "another worker has room of its own")
	require.Equal(t, uint8(wire.StatusOK), w.ended(w.event(3, blocks)), "there is room again")
	for _, n := range s.Stats().Sessions {
		require.Equal(t, n.Server.Events, n.Server.EventsDone)
		if n.Session == w.a.Welcome.Session {
			require.Equal(t, uint64(3), n.Server.Overloads)
		}
	}
}

func TestEventsThatAreGivenUpLeaveTheirRoom(t *testing.T) {
	_, socket := start(t, server.WithPlugin("patient", func() interface{} { return &patient{} }, "0.1", 1, server.MaxEvents(1)))
	w := attach(t, socket)
	in := w.instance("patient", `{}`)
	for range 10 {
		head := w.event(0, in)
		w.cancel(head, wire.StatusDeadline, "late")
		require.Eventually(t, func() bool {
			status := w.ended(w.event(1, in))
			return status == wire.StatusOK
		}, patience, time.Millisecond)
	}
}

// patient waits for the end of its first event of two.
type patient struct{ events int }

func (p *patient) Access(kong *pdk.PDK) {
	if p.events++; p.events%2 == 1 {
		<-kong.Context().Done()
	}
}

func TestMaxEventsOutOfBounds(t *testing.T) {
	for _, n := range []int{-1, 0, 2049} {
		_, err := server.New(withHeld(nil, server.MaxEvents(n)))
		require.ErrorContains(t, err, "want 1 to 2048")
	}
}

// both notes the order of its events. The first one puts two others into the
// ring that its goroutine reads next.
type both struct {
	first func()
	order chan string
}

func (b *both) Rewrite(*pdk.PDK) { b.first() }
func (b *both) Access(*pdk.PDK)  { b.order <- "access" }
func (b *both) Log(*pdk.PDK)     { b.order <- "log" }

func TestRequestsComeBeforeLogEvents(t *testing.T) {
	plugin := &both{order: make(chan string, 2)}
	s, socket := start(t, server.WithPlugin("both", func() interface{} { return plugin }, "0.1", 1))
	w := attach(t, socket)
	in := w.instance("both", `{}`)
	var heads []wire.Head
	plugin.first = func() {
		heads = []wire.Head{w.log(1, in), w.event(2, in)}
	}
	require.Eventually(t, func() bool {
		handovers := s.Stats().Sessions[0].Server.Handovers
		head := w.head(wire.TypeEvent, 0)
		head.Code, head.Arg = wire.PhaseRewrite, in
		w.send(head, nil)
		for range 3 {
			done, _ := w.receive()
			require.Equal(t, uint8(wire.StatusOK), done.Code)
		}
		order := []string{<-plugin.order, <-plugin.order}
		if s.Stats().Sessions[0].Server.Handovers > handovers {
			return false // another goroutine had the ring between the two
		}
		require.Equal(t, []string{"access", "log"}, order)
		return true
	}, patience, time.Millisecond)
	require.Len(t, heads, 2)
}
