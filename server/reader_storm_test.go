package server

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/server/liar"
	"github.com/kongring/kongring/server/pdk"
	"github.com/kongring/kongring/server/wire"
	"github.com/kongring/kongring/shm"
)

// stormed is a plugin whose handler asks and answers.
type stormed struct{ Name string }

func (s *stormed) Access(kong *pdk.PDK) {
	switch s.Name {
	case "calls":
		_, _ = kong.Request.GetHeaders(3)
		_, _, _ = kong.Request.GetUriCaptures()
		_ = kong.Response.SetHeader("a", s.Name)
	case "exits":
		kong.Response.Exit(200, make([]byte, 300), nil)
	}
}

// lyingBell is a doorbell that lies instead of sleeping, and hangs up once it has
// lied for long enough.
type lyingBell struct {
	worker  *liar.Worker
	session *session
	left    int
}

func (b *lyingBell) Ring() error  { return nil }
func (b *lyingBell) Close() error { return nil }

func (b *lyingBell) Wait() error {
	for range 16 {
		if b.left--; b.left < 0 {
			b.session.end(errHangUp)
			return shm.ErrClosed
		}
		b.worker.Lie()
		if !b.worker.Room(200) {
			return nil
		}
	}
	return nil
}

// The reader with a liar in the place of its sleep: the two take turns, at a few
// hundred thousand lies a second.
func TestReaderStorm(t *testing.T) {
	goal := liar.Goal(t, 200_000, 10_000_000)
	s, err := New(WithSocket("/unused"), WithRingCapacity(16<<10), WithMaxMessage(16<<10),
		WithLogger(slog.New(slog.NewTextHandler(io.Discard, nil))),
		WithPlugin("stormed", func() interface{} { return new(stormed) }, "1", 1))
	require.NoError(t, err)
	conn := newPumped(t, 1<<10).conn // one for all: it is only ever closed
	// Nobody looks on: a liar that is asked is quicker.
	spinners.Add(1000)
	defer spinners.Add(-1000)
	tally, causes := new(liar.Tally), liar.Causes{}
	var most uint64
	for seed := uint64(1); tally.Mutations() < goal; seed++ {
		n := stormSession(t, s, conn, seed, tally)
		causes.Add(n.failed.Error())
		if seed%64 == 1 {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most = max(most, m.Sys)
		}
	}
	t.Logf("%s; %d MiB from the system at most; sessions ended for:%s", tally, most>>20, causes)
	require.Greater(t, len(causes), 5, "kinds of damage")
	require.Less(t, most, uint64(128<<20))
}

// stormSession is one session, from its begin to its end.
func stormSession(t *testing.T, s *Server, conn *shm.Conn, seed uint64, tally *liar.Tally) *session {
	segment, err := shm.Create("kongring-storm", wire.Version, 1, regions(s.options.ringCapacity)...)
	require.NoError(t, err)
	bell := &lyingBell{left: 1500}
	n := &session{server: s, conn: conn, instances: map[uint32]*opened{}, loads: map[*plugin]*load{},
		log: slog.New(slog.DiscardHandler), retired: make(chan struct{}), stir: make(chan struct{}, 1)}
	n.ctx, n.cancel = context.WithCancelCause(context.Background())
	n.rings, err = openRings(segment, bell)
	require.NoError(t, err)
	bell.session = n
	bell.worker = liar.NewWorker(seed, segment, tally, "stormed", `{"name":"calls"}`, `{"name":"exits"}`, `{}`, `{`)
	bell.worker.Wild = []int{0, 1, 10, 100, 1000}[seed%5]
	tally.Sessions.Add(1)
	overdue := time.AfterFunc(pumpPatience, func() { debug.SetTraceback("all"); panic("the reader hangs: " + fmt.Sprint(seed)) })
	defer overdue.Stop()
	n.spawn(n.watchdog) // for handlers that wait for room, which only the liar can give
	(&reader{session: n}).loop()
	<-n.retired
	n.mu.Lock()
	n.closed = true
	n.mu.Unlock()
	n.open.Wait()
	n.releaseInstances()
	require.NoError(t, n.rings.close())
	return n
}
