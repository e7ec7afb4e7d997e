package e2e_test

import (
	"context"
	"regexp"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/luabridge/testbed"
	"github.com/kongring/kongring/server/liar"
)

const stormRing = 16 << 10

// lie lies to a worker until it hangs up or has been lied to for long enough.
func lie(s *handSession, tally *liar.Tally) {
	tally.Sessions.Add(1)
	l := liar.NewServer(uint64(s.id), s.segment, tally)
	l.Wild = []int{0, 1, 10, 100, 1000}[s.id%5]
	stop := make(chan struct{})
	var flips sync.WaitGroup
	defer flips.Wait()
	defer close(stop)
	if s.id%7 == 0 {
		flips.Go(func() { l.Flip(uint64(s.id), stop) })
	}
	for range 2000 {
		if s.ctx.Err() != nil {
			break
		}
		l.Lie()
		for tries := 0; !l.Room(600) && tries < 2000 && s.ctx.Err() == nil; tries++ {
			if tries%64 == 0 {
				_ = s.doorbell.Ring()
			}
			time.Sleep(10 * time.Microsecond)
		}
		if l.Rand.IntN(16) == 0 {
			_ = s.doorbell.Ring()
		}
	}
	_ = s.control.Close()
}

// A server that lies in every session never takes nginx along: each request has
// an answer, the worker stays the same and small, and it serves an honest server
// as if nothing had been.
func TestLuaStorm(t *testing.T) {
	goal := liar.Goal(t, 20_000, 1_000_000)
	b := start(t, func(o *testbed.Options) {
		o.NoServer = true
		handlerOf(t, o, "timeout = 0.3")
		// Sessions that come and go are the point here.
		patched(t, o, "bridge.lua", "BACK_OFF_MIN, BACK_OFF_MAX = 0.01, 0.25", "BACK_OFF_MIN, BACK_OFF_MAX = 0.001, 0.002")
		delete(o.Config, "global_plugins")
	})
	var end context.CancelFunc // of a run that may be long
	b.ctx, end = context.WithCancel(context.Background())
	defer end()
	workers, err := b.Host.Workers()
	require.NoError(t, err)
	tally := new(liar.Tally)
	s := serveByHand(t, b.Socket(), stormRing, func(s *handSession) { lie(s, tally) })
	var answers, slow atomic.Uint64
	var wg sync.WaitGroup
	for range 24 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for tally.Mutations() < goal && !t.Failed() {
				begun := time.Now()
				if _, err := b.try("/direct", nil); err != nil {
					t.Error(err)
				}
				if answers.Add(1); time.Since(begun) > patience {
					slow.Add(1)
				}
			}
		}()
	}
	wg.Wait()
	s.stop()
	require.Zero(t, slow.Load())
	now, err := b.Host.Workers()
	require.NoError(t, err)
	require.Equal(t, workers, now, "the worker died")
	log, err := b.Host.ErrorLog()
	require.NoError(t, err)
	causes := liar.Causes{}
	for _, match := range regexp.MustCompile(`session \d+ closed: ([^,\n]*)`).FindAllStringSubmatch(log, -1) {
		causes.Add(match[1])
	}
	peak := liar.PeakMemory(t, workers[0])
	t.Logf("%s; %d requests; the worker had %d MiB at most; sessions closed for:%s", tally, answers.Load(), peak>>20, causes)
	require.Greater(t, len(causes), 3, "kinds of damage")
	require.NotContains(t, log, "[alert]")
	require.NotContains(t, log, "the bridge failed")
	require.Less(t, peak, uint64(256<<20))
	require.NoError(t, b.StartServer(b.ctx))
	b.eventually("requests succeed", func() bool { return b.do("nothing").status == 200 })
}
