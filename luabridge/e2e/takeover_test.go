package e2e_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/luabridge/testbed"
)

// load sends requests until stop is called; none may fail.
type load struct {
	b            *bed
	sent, failed atomic.Int64
	cancel       context.CancelFunc
	wg           sync.WaitGroup
}

// newLoad starts n clients whose handlers do a deed.
func newLoad(b *bed, n int, deed string) *load {
	ctx, cancel := context.WithCancel(b.ctx)
	l := &load{b: b, cancel: cancel}
	for range n {
		l.wg.Add(1)
		go func() {
			defer l.wg.Done()
			for ctx.Err() == nil {
				// A fresh connection each time, as nginx may close a kept one at
				// the very moment of its use.
				r, err := b.try("/direct", nil, "x-do", deed, "connection", "close")
				if err != nil || r.status != 200 {
					l.failed.Add(1)
					b.t.Logf("%v %+v", err, r)
				}
				l.sent.Add(1)
			}
		}()
	}
	return l
}

// more waits for requests that began and ended from now on.
func (l *load) more() {
	l.b.t.Helper()
	before := l.sent.Load()
	l.b.eventually("more requests", func() bool { return l.sent.Load() > before+50 })
}

func (l *load) stop() {
	l.b.t.Helper()
	l.cancel()
	l.wg.Wait()
	require.Zero(l.b.t, l.failed.Load(), "of %d", l.sent.Load())
	log, err := l.b.Host.ErrorLog() // which has the events of the log phase
	require.NoError(l.b.t, err)
	require.Empty(l.b.t, regexp.MustCompile(`.*unavailable.*`).FindString(log))
}

// second starts a server beside the one that there is, which it gives.
func (b *bed) second() *testbed.Server {
	b.t.Helper()
	old := b.Server
	require.NoError(b.t, b.StartServer(b.ctx))
	b.t.Cleanup(old.Kill)
	return old
}

// workers waits until all n workers, and no others, are attached to the newest
// server.
func (b *bed) workers(n int) {
	b.t.Helper()
	b.eventually("the workers are attached to the server", func() bool {
		stats, err := b.Server.Stats()
		return err == nil && stats.PID == b.Server.PID() && len(stats.Sessions) == n
	})
}

// carriers runs a test over both.
func carriers(t *testing.T, test func(t *testing.T)) {
	t.Run("ring", test)
	t.Run("socket", func(t *testing.T) { overSocket(t); test(t) })
}

func twoWorkers(o *testbed.Options) { o.Host.Workers = 2 }

// A new binary is started beside the old one, and nginx reloads: no request
// fails, neither then nor when the old one ends.
func TestTakeoverWithReload(t *testing.T) {
	carriers(t, func(t *testing.T) {
		b := start(t, twoWorkers)
		b.answers()
		l := newLoad(b, 4, "nothing")
		old := b.second()
		l.more()
		require.NoError(t, b.Host.Reload(b.ctx))
		b.workers(2)
		l.more()
		require.NoError(t, old.Stop(b.ctx))
		l.more()
		l.stop()
		b.workers(2)
		b.logged(`takes over the socket from pid ` + strconv.Itoa(old.PID()))
	})
}

// The old server ends: its workers go over to the new one, and no request fails.
func TestTakeoverWithoutReload(t *testing.T) {
	carriers(t, func(t *testing.T) {
		b := start(t, twoWorkers)
		b.answers()
		l := newLoad(b, 4, "nothing")
		for range 5 {
			old := b.second()
			l.more()
			require.NoError(t, old.Stop(b.ctx))
			l.more()
			b.workers(2)
		}
		l.stop()
	})
}

// Events under way finish on the old server while new ones are served by the
// new one.
func TestTakeoverWithSlowEvents(t *testing.T) {
	carriers(t, func(t *testing.T) {
		b := start(t, nil)
		b.answers()
		slow := newLoad(b, 4, "sleep:300ms")
		b.logged("probe: sleeps")
		quick := newLoad(b, 2, "nothing")
		quick.more()
		old := b.second()
		require.NoError(t, old.Stop(b.ctx))
		quick.more()
		slow.stop()
		quick.stop()
		b.workers(1)
	})
}

// A worker opens another doorbell now and then. Where that leads to the new
// server, the worker goes over to it, and what is under way on the old one
// finishes there.
func TestTakeoverAtANewDoorbell(t *testing.T) {
	b := start(t, func(o *testbed.Options) {
		patched(t, o, "doorbell.lua", "RINGS_PER_THREAD = 100000", "RINGS_PER_THREAD = 20")
	})
	b.answers()
	slow := newLoad(b, 2, "sleep:200ms")
	b.logged("probe: sleeps")
	quick := newLoad(b, 2, "sleep:1ms")
	b.second()
	b.workers(1)
	quick.more()
	slow.stop()
	quick.stop()
	b.logged(`failed to open a doorbell: the server refused: no session`)
}

// A worker that shuts down, with requests that are not through all their phases
// yet, goes over as well.
func TestTakeoverFromALeavingWorker(t *testing.T) {
	carriers(t, func(t *testing.T) {
		b := start(t, nil)
		pids, err := b.Host.Workers()
		require.NoError(t, err)
		l := newLoad(b, 4, "sleep:300ms")
		b.logged("probe: sleeps")
		old := b.second()
		require.NoError(t, b.Host.Reload(b.ctx))
		require.NoError(t, old.Stop(b.ctx))
		l.stop()
		b.workers(1)
		stats, err := b.Server.Stats()
		require.NoError(t, err)
		require.NotEqual(t, pids[0], stats.Sessions[0].PID)
	})
}

// A worker that has nothing to do goes over as soon as the old server stops.
func TestTakeoverOfAnIdleWorker(t *testing.T) {
	carriers(t, func(t *testing.T) {
		b := start(t, nil)
		b.answers()
		old := b.second()
		require.NoError(t, old.Stop(b.ctx))
		b.logged(`session 1 with .* ended: the plugin server takes no more events`)
		b.workers(1)
		b.answers()
	})
}

// A request of a worker that shuts down is between two events for as long as it
// takes the old server to stop: the server need not wait for it, and the later
// event goes to the new one.
func TestTakeoverBetweenTwoEvents(t *testing.T) {
	carriers(t, func(t *testing.T) {
		b := start(t, nil)
		pids, err := b.Host.Workers()
		require.NoError(t, err)
		body, rest := io.Pipe() // the plugins run before the body is there
		defer rest.Close()
		uploaded := make(chan error, 1)
		go func() {
			response, err := b.Client.Post(b.Host.URL()+"/probe/between", "text/plain", body)
			if err == nil {
				err = response.Body.Close()
			}
			if err == nil && response.StatusCode != http.StatusOK {
				err = fmt.Errorf("status %d", response.StatusCode)
			}
			uploaded <- err
		}()
		b.eventually("rewrite and access are over", func() bool {
			stats, err := b.Server.Stats()
			require.NoError(t, err)
			return len(stats.Sessions) == 1 && stats.Sessions[0].Server.EventsDone == 2
		})
		old := b.second()
		require.NoError(t, b.Host.Reload(b.ctx))
		require.NoError(t, old.Stop(b.ctx))
		b.logged(`session 1 with .* ended: the (worker shuts down|plugin server takes no more events)`)
		require.Empty(t, uploaded)
		require.NoError(t, rest.Close())
		require.NoError(t, <-uploaded)
		b.logged(strconv.Itoa(pids[0]) + `.*\[probe\] log phase: /probe/between 200`)
		b.Client.CloseIdleConnections() // of the old worker
	})
}

// A worker attaches to the old server and opens its doorbell at the new one,
// which knows nothing of it: it attaches once more at once, and those who wait
// for it do not notice.
func TestTakeoverWhileAttaching(t *testing.T) {
	var hold string
	b := start(t, func(o *testbed.Options) {
		hold = filepath.Join(o.Dir, "hold")
		const open = "socket, err = attach.open_doorbell(self.path, attachment)"
		patched(t, o, "bridge.lua", open, fmt.Sprintf("while io.open(%q) do ngx.sleep(0.01) end ", hold)+open)
		patched(t, o, "bridge.lua", "ATTACH_WAIT = 1", "ATTACH_WAIT = 100")
		const wait = "self.waiters = self.waiters + 1"
		patched(t, o, "bridge.lua", wait, wait+` log(NOTICE, "a request waits")`)
	})
	b.answers()
	require.NoError(t, os.WriteFile(hold, nil, 0o600))
	require.NoError(t, b.Host.Reload(b.ctx))
	b.eventually("the new worker attaches to the old server", func() bool {
		stats, err := b.Server.Stats()
		return err == nil && stats.SessionsBegun == 2
	})
	b.second()
	before := b.count("a request waits")
	l := newLoad(b, 4, "nothing")
	b.eventually("requests wait", func() bool { return b.count("a request waits") > before })
	require.NoError(t, os.Remove(hold))
	l.more()
	l.stop()
	b.workers(1)
}
