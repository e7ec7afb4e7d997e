package e2e_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/luabridge/testbed"
	"github.com/kongring/kongring/ring"
	"github.com/kongring/kongring/server/wire"
	"github.com/kongring/kongring/shm"
)

// message is Kong's body for an error.
func message(text string) string { return fmt.Sprintf(`{"message":%q}`, text) }

func TestPanicFailsItsRequestOnly(t *testing.T) {
	b := start(t, nil)
	for _, deed := range []string{"panic:here", "goexit"} {
		r := b.do(deed)
		require.Equal(t, 500, r.status)
		require.JSONEq(t, message("An unexpected error occurred"), r.body)
		b.answers()
	}
	b.logged(`(?s)\[error\].*\[probe\] plugin probe, instance [^,]+, phase access: failed: boom here \[event 1\.\d+\.\d+\]\n.*probe/main.go`)
	b.logged(`phase access: failed: the handler called runtime.Goexit`)
}

func TestServerDeathFailsAtOnce(t *testing.T) {
	b := start(t, nil)
	b.answers()
	// One request waits in a handler, another one ends the process.
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		r, err := b.try("/direct", nil, "x-do", "sleep:1h")
		require.NoError(t, err)
		require.Equal(t, 503, r.status)
	}()
	b.logged("probe: sleeps")
	require.Equal(t, 503, b.do("die").status)
	wg.Wait()
	r := b.do("nothing")
	require.Equal(t, 503, r.status)
	require.JSONEq(t, message("The plugin server is not available"), r.body)
	b.logged(`session 1 with .* ended: the plugin server went away`)

	require.NoError(t, b.StartServer(b.ctx))
	b.eventually("requests succeed again", func() bool { return b.do("nothing").status == 200 })
}

func TestFailurePolicyOpen(t *testing.T) {
	b := start(t, func(o *testbed.Options) { handlerOf(t, o, `failure_policy = "open"`) })
	b.answers()
	b.Server.Kill()
	b.eventually("the worker notices", func() bool {
		r, err := b.try("/direct", nil)
		require.NoError(t, err)
		return r.status == 503 // of the global plugin early, which is closed
	})
	b.logged(`failure_policy open|plugin early, instance .*, phase rewrite: unavailable`)
}

func TestSlowHandlerMeetsItsDeadline(t *testing.T) {
	b := start(t, func(o *testbed.Options) { handlerOf(t, o, "timeout = 0.2") })
	done := make(chan reply, 1)
	go func() {
		r, err := b.try("/direct", nil, "x-do", "sleep:1h")
		require.NoError(t, err)
		done <- r
	}()
	for len(done) == 0 {
		b.answers() // the worker is free meanwhile
	}
	r := <-done
	require.Equal(t, 504, r.status)
	require.JSONEq(t, message("The plugin did not answer in time"), r.body)
	b.logged("probe: the context was cancelled")
	b.eventually("the counters tell", func() bool {
		stats, err := b.Server.Stats()
		require.NoError(t, err)
		counters := stats.Sessions[0].Bridge
		return counters.Deadlines == 1 && counters.Open == 0
	})
}

// A handler that calls without end, and a server that does, keep neither the
// worker nor their request for longer than the event's time.
func TestHandlerThatAsksForEver(t *testing.T) {
	b := start(t, func(o *testbed.Options) {
		handlerOf(t, o, "timeout = 0.5")
		o.Args = append(o.Args, "-sync")
	})
	b.answers()
	b.Client.Timeout = patience // of a worker that does nothing else
	done := make(chan reply, 1)
	go func() {
		r, err := b.try("/direct", nil, "x-do", "ask-forever")
		require.NoError(t, err)
		done <- r
	}()
	for len(done) == 0 {
		r, err := b.try("/none", nil)
		require.NoError(t, err)
		require.NotZero(t, r.status)
	}
	r := <-done
	require.Equal(t, 504, r.status, r.body)
	b.logged("probe: asks no more: the event is over")
	b.answers()
}

func TestForbiddenCallFailsTheEvent(t *testing.T) {
	b := start(t, nil)
	r := b.do("forbidden")
	require.Equal(t, 500, r.status)
	require.JSONEq(t, message("An unexpected error occurred"), r.body)
	b.logged(`plugin probe: kong.response.get_status: .*in access phase`)
	b.logged(`probe: forbidden call: the event is over: kong.response.get_status: .*in access phase`)

	require.Equal(t, 500, b.do("bad-argument").status)
	b.logged(`plugin probe: kong.response.set_status: .*599`)
	b.answers()
}

func TestLocalErrorsStayLocal(t *testing.T) {
	b := start(t, nil)
	r := b.do("bad-value")
	require.Equal(t, 200, r.status)
	require.JSONEq(t, `"invalid type: struct {}"`, r.body)
}

func TestCallAfterExit(t *testing.T) {
	b := start(t, nil)
	r := b.do("exit-then-call")
	require.Equal(t, 418, r.status)
	require.Equal(t, "short", r.body)
	require.Equal(t, "yes", r.header.Get("x-exit"))
	b.logged(`probe: call after exit: the event is over: it ended with kong.response.exit`)
	b.answers()
}

func TestGoroutineThatOutlivesItsHandler(t *testing.T) {
	b := start(t, nil)
	require.Equal(t, 200, b.do("goroutine").status)
	b.logged(`probe: late call: the event is over`)
	b.answers()
}

func TestConfigThatDoesNotFit(t *testing.T) {
	b := start(t, func(o *testbed.Options) {
		// A schema that lets it pass: one of an older plugin, say.
		schemaOf(t, o, `{ type = "record", fields = { { count = { type = "string" } } } }`)
		o.Config = config(object{"count": "very-secret"})
	})
	for range 2 { // the second try is as good as the first
		r := b.do("nothing")
		require.Equal(t, 500, r.status)
		require.NotContains(t, r.body, "secret")
	}
	line := b.logged(`plugin probe, instance .*, phase access: failed: config of plugin probe: .*`)
	require.Contains(t, line, `field "count" does not fit the Go type int`)
	log, err := b.Host.ErrorLog()
	require.NoError(t, err)
	require.NotContains(t, log+b.Server.Log(), "very-secret")
}

func TestWorkerDeathFreesItsSession(t *testing.T) {
	b := start(t, nil)
	b.answers()
	pids, err := b.Host.Workers()
	require.NoError(t, err)
	// A POST: the client would try a GET again, on the next worker.
	go func() { _, _ = b.try("/direct", []byte("x"), "x-do", "sleep:1h") }()
	b.logged("probe: sleeps")
	require.NoError(t, syscall.Kill(pids[0], syscall.SIGKILL))
	b.logged("probe: the context was cancelled")
	b.eventually("the next worker has the only session", func() bool {
		stats, err := b.Server.Stats()
		return err == nil && len(stats.Sessions) == 1 && stats.Sessions[0].PID != pids[0]
	})
	b.answers()
	require.Zero(t, mappings(t, b.Server.PID(), 1), "segment of the dead session")
}

// mappings counts the mappings of a session's segment in a process.
func mappings(t *testing.T, pid, session int) int {
	t.Helper()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	require.NoError(t, err)
	return strings.Count(string(maps), fmt.Sprintf("kongring-%d ", session))
}

// Old and new workers are attached side by side; no request fails.
func TestReloadUnderLoad(t *testing.T) {
	b := start(t, func(o *testbed.Options) { o.Host.Workers = 2 })
	b.answers()
	ctx, stop := context.WithCancel(b.ctx)
	var sent, failed atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for ctx.Err() == nil {
				// A fresh connection each time, as nginx may close a kept one at
				// the very moment of its use.
				r, err := b.try("/direct", nil, "connection", "close")
				if err != nil || r.status != 200 {
					failed.Add(1)
					t.Logf("%v %+v", err, r)
				}
				sent.Add(1)
			}
		}()
	}
	for range 3 {
		before := sent.Load()
		require.NoError(t, b.Host.Reload(b.ctx))
		b.eventually("more requests", func() bool { return sent.Load() > before+50 })
	}
	stop()
	wg.Wait()
	require.Zero(t, failed.Load(), "of %d", sent.Load())
	b.eventually("the old workers are gone", func() bool {
		stats, err := b.Server.Stats()
		return err == nil && len(stats.Sessions) == 2
	})
}

// SIGTERM lets the events under way finish and fails new ones, where no other
// server has taken the socket over.
func TestServerStopsGracefully(t *testing.T) {
	b := start(t, nil)
	b.answers()
	done := make(chan reply, 1)
	go func() {
		r, err := b.try("/direct", nil, "x-do", "sleep:500ms")
		require.NoError(t, err)
		done <- r
	}()
	b.logged("probe: sleeps")
	require.NoError(t, b.Server.Stop(b.ctx))
	require.Equal(t, 200, (<-done).status)
	require.Equal(t, 503, b.do("nothing").status)
	_, err := os.Lstat(b.Socket())
	require.ErrorIs(t, err, os.ErrNotExist, "the socket file")
}

// A bridge of another version is refused, and both versions are named.
func TestVersionsThatDiffer(t *testing.T) {
	b := start(t, func(o *testbed.Options) {
		patched(t, o, "layout.lua", fmt.Sprintf("APP = %d,", wire.Version), "APP = 99,")
	})
	require.Equal(t, 503, b.do("nothing").status)
	versions := fmt.Sprintf(`bridge %d\.99, server %d\.%d`, shm.Version, shm.Version, wire.Version)
	b.logged(`\[error\].*versions differ: ` + versions + `: the plugin is older`)
	b.logged(`connection refused.*` + versions)
}

// A server that writes rubbish loses its session and nothing else: the worker
// closes it with a reason, and attaches anew.
func TestServerThatLies(t *testing.T) {
	head := func(kind uint8, slot uint16, generation uint32) []byte {
		return wire.AppendHead(nil, wire.Head{Type: kind, Slot: slot, Generation: generation})
	}
	for _, tc := range []struct {
		name, reason string
		lie          func(mem []byte, p *ring.Producer)
	}{
		{"commit word", "ring is corrupt: frame at offset", func(mem []byte, _ *ring.Producer) {
			copy(mem[len(mem)-256:], []byte{0xff, 0xff, 0xff, 0x8f})
		}},
		{"short message", "message of 3 bytes", func(_ []byte, p *ring.Producer) {
			_, _ = p.Write([]byte("abc"), false)
		}},
		{"unknown slot", "type 8 for slot 77, which was never opened", func(_ []byte, p *ring.Producer) {
			_, _ = p.Write(head(wire.TypeDone, 77, 1), false)
		}},
		{"profile of no instance", "profile of instance 9, which was never started", func(_ []byte, p *ring.Producer) {
			_, _ = p.Write(append(wire.AppendHead(nil, wire.Head{Type: wire.TypeProfile, Arg: 9}), make([]byte, 10)...), false)
		}},
		{"wrong type", "type 4 for a start in slot 1", func(_ []byte, p *ring.Producer) {
			_, _ = p.Write(head(wire.TypeEvent, 1, 1), false)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := start(t, func(o *testbed.Options) { o.NoServer = true })
			liar := serveByHand(t, b.Socket(), 1<<12, func(s *handSession) {
				// The worker sends its first message, and then it is lied to.
				_ = testbed.Eventually(s.ctx, patience, "a message", s.in.Ready)
				tc.lie(s.segment.Region(wire.RegionToWorker), s.out)
				_ = s.doorbell.Ring()
				<-s.ctx.Done()
			})
			b.eventually("the lie is found", func() bool {
				r := b.do("nothing") // its START opens slot 1
				require.Equal(t, 503, r.status)
				log, err := b.Host.ErrorLog()
				require.NoError(t, err)
				return strings.Contains(log, "closed: "+tc.reason)
			})
			liar.stop()
			// The worker lives and finds an honest server.
			require.NoError(t, b.StartServer(b.ctx))
			b.eventually("requests succeed", func() bool { return b.do("nothing").status == 200 })
		})
	}
}
