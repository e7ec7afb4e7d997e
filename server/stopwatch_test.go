package server_test

import (
	"io"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/server"
	"github.com/kongring/kongring/server/metrics"
	"github.com/kongring/kongring/server/wire"
	"github.com/kongring/kongring/shm"
)

// watch has events measured until the test ends, or the closer is closed.
func watch(t testing.TB, socket string) io.Closer {
	t.Helper()
	c, err := server.Watch(socket, patience)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// eventsOf waits until a session has counted so many events of a plugin in the
// access phase, and gives the row.
func eventsOf(t testing.TB, s *server.Server, plugin string, n uint64) (got metrics.Row) {
	t.Helper()
	require.Eventually(t, func() bool {
		for _, row := range s.Stats().Sessions[0].Events {
			if row.Plugin == plugin && row.Phase == "access" && row.Events == n {
				got = row
				return true
			}
		}
		return false
	}, patience, time.Millisecond)
	return got
}

// Times are measured while somebody watches, and not before nor after.
func TestEventsAreMeasuredWhileWatched(t *testing.T) {
	s, socket := plain(t, withCalls())
	w := attach(t, socket)
	in := w.instance("scripted", `{}`)
	w.play(1, in)
	row := eventsOf(t, s, "scripted", 1)
	require.Zero(t, row.Latency)
	require.False(t, s.Timed())

	one, two := watch(t, socket), watch(t, socket)
	require.NoError(t, one.Close())
	require.Eventually(t, s.Timed, patience, time.Millisecond)
	w.play(1, in)
	row = eventsOf(t, s, "scripted", 2)
	require.EqualValues(t, 1, row.Latency.Total())
	took, ok := row.Latency.Quantile(1)
	require.True(t, ok)
	require.Positive(t, took)
	require.Less(t, took, patience)

	require.NoError(t, two.Close())
	require.Eventually(t, func() bool { return !s.Timed() }, patience, time.Millisecond)
	w.play(1, in)
	require.Equal(t, row.Latency, eventsOf(t, s, "scripted", 3).Latency)
}

// A watcher of a server that ends, or that there is not, hears of it.
func TestWatchersAreBounded(t *testing.T) {
	const most = 64
	s, socket := plain(t, withCalls())
	for range most {
		watch(t, socket)
	}
	_, err := server.Watch(socket, patience)
	require.ErrorIs(t, err, shm.ErrRefused)
	require.ErrorContains(t, err, "64 connections watch")
	require.True(t, s.Timed())
	_, err = server.Watch(socket+"nowhere", patience)
	require.ErrorContains(t, err, "watch: ")
}

// The rows of a session add up to what the session counts.
func TestRowsAddUpToTheSession(t *testing.T) {
	release := make(chan struct{})
	let := sync.OnceFunc(func() { close(release) })
	s, socket := plain(t, withCalls(), withHeld(release, server.MaxEvents(1)))
	t.Cleanup(let)
	w := attach(t, socket)
	in, boom, held := w.instance("scripted", `{}`), w.instance("scripted", `{"name":"panic"}`), w.instance("held", `{}`)
	for range 30 {
		w.play(1, in)
	}
	w.expectPanic(w.event(2, boom))
	under := w.event(3, held)
	require.Equal(t, uint8(wire.StatusBusy), w.ended(w.event(4, held)))
	require.Equal(t, uint8(wire.StatusNoInstance), w.ended(w.event(5, 99)))
	eventsOf(t, s, "scripted", 31)

	n := s.Stats().Sessions[0]
	sum := metrics.Cell{}
	var plugins []string
	for _, row := range n.Events {
		plugins = append(plugins, row.Plugin)
		require.Equal(t, "access", row.Phase)
		sum.Add(&row.Cell)
	}
	require.Equal(t, []string{"held", "scripted"}, plugins)
	c := n.Server
	require.Equal(t, [metrics.Answers]uint64{c.PrefetchHits, c.MemoHits, c.Posted, c.RoundTrips}, sum.Calls)
	require.Positive(t, c.MemoHits)
	require.EqualValues(t, 30*5+asksOfPanic, c.PrefetchHits+c.MemoHits+c.Posted+c.RoundTrips)
	require.Equal(t, c.Wasted, sum.Wasted)
	require.Equal(t, c.Panics, sum.Failed[metrics.Panic])
	require.Equal(t, c.Overloads, sum.Failed[metrics.Busy])
	require.Equal(t, c.EventsDone, sum.Events+sum.Failed[metrics.Busy]+1, "and one of no instance")
	require.EqualValues(t, 512<<10, n.Capacity)
	w.cancel(under, wire.StatusDeadline, "over")
	require.Eventually(t, func() bool {
		return s.Stats().Sessions[0].Events[0].Failed[metrics.Deadline] == 1
	}, patience, time.Millisecond)
	let()
}

// What lies in the rings is what was written and not read.
func TestRingFill(t *testing.T) {
	s, socket := plain(t, withCalls())
	w := attach(t, socket)
	w.play(1, w.instance("scripted", `{}`))
	worker := wire.WorkerCountersAt(w.a.Segment.Region(wire.RegionWorkerCounters))
	is := func(out, in float64, toServer, toWorker uint64) {
		t.Helper()
		worker.BytesOut, worker.BytesIn = out, in
		n := s.Stats().Sessions[0]
		require.Equal(t, []uint64{toServer, toWorker}, []uint64{n.ToServer, n.ToWorker})
	}
	require.Eventually(t, func() bool { c := s.Stats().Sessions[0].Server; return c.Events == c.EventsDone }, patience, time.Millisecond)
	c := s.Stats().Sessions[0].Server
	in, out := float64(c.BytesIn), float64(c.BytesOut)
	is(in, out, 0, 0)
	is(in+70, out-30, 70, 30)
	is(in-70, out+30, 0, 0)
	is(1e12, -1, 512<<10, uint64(out)+1)
}
