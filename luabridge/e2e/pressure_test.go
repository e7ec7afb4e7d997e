package e2e_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/luabridge/testbed"
)

// small makes rings of 1 KiB, and events that last half a second at most.
func small(t *testing.T, o *testbed.Options) {
	o.Args = []string{"-ring", "1024"}
	delete(o.Config, "global_plugins")
	handlerOf(t, o, "timeout = 0.5")
}

func (b *bed) signal(s syscall.Signal) {
	b.t.Helper()
	require.NoError(b.t, syscall.Kill(b.Server.PID(), s))
}

// unharmed checks that the session that the worker had at first lives on.
func (b *bed) unharmed() {
	b.t.Helper()
	b.answers()
	stats, err := b.Server.Stats()
	require.NoError(b.t, err)
	require.Zero(b.t, stats.SessionsFailed, b.Server.Log())
	require.Equal(b.t, uint64(1), stats.SessionsBegun)
}

// The arguments of an exit lie in a buffer that the slot gives up with its end.
func TestBigExit(t *testing.T) {
	b := start(t, nil)
	before, err := b.Host.Workers()
	require.NoError(t, err)
	for range 30 {
		r := b.do("big-exit")
		require.Equal(t, 200, r.status)
		require.Len(t, r.body, 1<<20)
		require.Equal(t, "value-2999", r.header.Get("x-h-2999"))
	}
	after, err := b.Host.Workers()
	require.NoError(t, err)
	require.Equal(t, before, after, "no worker died")
}

// The server stands still, and the ring is full, when an event's time is over:
// its CANCEL finds no room, and the next event uses its slot.
func TestCancelThatFindsNoRoom(t *testing.T) {
	b := start(t, func(o *testbed.Options) { small(t, o) })
	b.answers()
	first := make(chan reply, 1)
	go func() {
		r, _ := b.try("/direct", []byte("x"), "x-do", "sleep:1h")
		first <- r
	}()
	b.logged("probe: sleeps")
	b.signal(syscall.SIGSTOP)
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			_, _ = b.try(fmt.Sprint("/direct/", i), nil)
		}()
	}
	wg.Wait()
	b.signal(syscall.SIGCONT)
	require.Equal(t, 504, (<-first).status)
	b.unharmed()
	b.logged("probe: the context was cancelled")
}

// The same, and nothing uses the slots again.
func TestCancelThatComesLater(t *testing.T) {
	b := start(t, func(o *testbed.Options) { small(t, o) })
	b.answers()
	const sleepers = 5
	var wg sync.WaitGroup
	send := func(n int, do string) {
		for range n {
			wg.Add(1)
			go func() {
				defer wg.Done()
				_, _ = b.try("/direct", []byte("x"), "x-do", do)
			}()
		}
	}
	underWay := func() int64 {
		stats, err := b.Server.Stats()
		require.NoError(t, err)
		return stats.Sessions[0].UnderWay
	}
	send(sleepers, "sleep:1h")
	b.eventually("the handlers sleep", func() bool { return underWay() == sleepers })
	b.signal(syscall.SIGSTOP)
	send(40, "nothing")
	wg.Wait()
	b.signal(syscall.SIGCONT)
	b.eventually("no handler is left", func() bool { return underWay() == 0 })
	b.unharmed()
}

// A message that is sent in pieces is given up half way.
func TestMessageCutOff(t *testing.T) {
	b := start(t, func(o *testbed.Options) {
		o.Config = config(object{"do": "nothing:" + strings.Repeat("x", 4000)})
		small(t, o)
	})
	b.logged("attached to")
	b.signal(syscall.SIGSTOP)
	require.Equal(t, 504, b.do("").status)
	b.signal(syscall.SIGCONT)
	b.eventually("requests succeed", func() bool { return b.do("").status == 200 })
	b.unharmed()
}

// A message beyond the limit fails its call, and nothing else.
func TestMessageBeyondTheLimit(t *testing.T) {
	b := start(t, func(o *testbed.Options) {
		delete(o.Config, "global_plugins")
		o.Args = []string{"-ring", "1024", "-max", "4096"}
	})
	other := make(chan reply, 1)
	go func() {
		r, _ := b.try("/direct", []byte("x"), "x-do", "sleep:300ms")
		other <- r
	}()
	b.logged("probe: sleeps")
	r, err := b.try("/direct", bytes.Repeat([]byte("x"), 7900), "x-do", "body")
	require.NoError(t, err)
	require.Equal(t, 200, r.status, "the plugin answers with the error that it got")
	require.Contains(t, r.body, "the limit is 4096")
	require.Equal(t, 500, b.do("big-exit").status)
	b.logged("the call is too long: .* the limit is 4096")
	require.Equal(t, 200, (<-other).status)
	b.unharmed()
}

// What a method raises is longer than a frame.
func TestLongErrorText(t *testing.T) {
	b := start(t, func(o *testbed.Options) { small(t, o) })
	require.Equal(t, 500, b.do("forbidden").status)
	require.Equal(t, 500, b.do("bad-argument").status)
	b.unharmed()
}

// The plugin server dies while a worker that leaves still has a request.
func TestServerDeathWhileTheWorkerLeaves(t *testing.T) {
	b := start(t, nil)
	done := make(chan reply, 1)
	go func() {
		r, _ := b.try("/direct", []byte("x"), "x-do", "sleep:1h")
		done <- r
	}()
	b.logged("probe: sleeps")
	require.NoError(t, b.Host.Reload(b.ctx))
	if carrier == "socket" {
		b.logged("gracefully shutting down")
	} else {
		b.logged("worker leaves")
	}
	b.Server.Kill()
	require.Equal(t, 503, (<-done).status)
}

// A worker is told to leave while it waits for its welcome.
func TestLeavingWhileAttaching(t *testing.T) {
	b := start(t, nil)
	b.Server.Kill()
	require.NoError(t, b.StartServer(b.ctx))
	b.signal(syscall.SIGSTOP)
	old, err := b.Host.Workers()
	require.NoError(t, err)
	require.NoError(t, b.Host.Reload(b.ctx))
	b.signal(syscall.SIGCONT)
	b.Client.CloseIdleConnections()
	b.eventually("the old worker is gone", func() bool { return syscall.Kill(old[0], 0) != nil })
	b.answers()
}

// The end of an event and the server's hang-up reach a worker at once.
func TestEndThatComesWithTheHangUp(t *testing.T) {
	b := start(t, nil)
	done := make(chan reply, 1)
	go func() {
		r, _ := b.try("/direct", []byte("x"), "x-do", "sleep:300ms")
		done <- r
	}()
	b.logged("probe: sleeps")
	pids, err := b.Host.Workers()
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(pids[0], syscall.SIGSTOP))
	require.NoError(t, b.Server.Stop(b.ctx), "the event finishes")
	require.NoError(t, syscall.Kill(pids[0], syscall.SIGCONT))
	require.Equal(t, 200, (<-done).status)
}

// Each plugin's lines carry its own name, and come from a handler, as those of
// a plugin in Lua.
func TestLogLinesNameTheirPlugin(t *testing.T) {
	b := start(t, nil)
	b.do("log:1")
	_, err := b.try("/direct", nil, "x-do", "log:2", "x-early", "log")
	require.NoError(t, err)
	b.logged(`\[kong\] handler\.lua:\d+ \[probe\] logged by probe: 1`)
	b.logged(`\[kong\] handler\.lua:\d+ \[early\] logged by early`)
	b.logged(`\[kong\] handler\.lua:\d+ \[probe\] logged by probe: 2`)
	b.logged(`\[kong\] handler\.lua:\d+ \[probe\] log phase: /direct 200`)
	// Also once it is compiled, and behind a pcall.
	b.flood("log:3", 1, 300)
	text, err := b.Host.ErrorLog()
	require.NoError(t, err)
	lines := regexp.MustCompile(`\[kong\] handler\.lua:\d+ \[probe\] logged by probe: 3`)
	require.Len(t, lines.FindAllString(text, -1), 300)
}

// A slot whose request took longer than its time, inside a PDK method, belongs
// to another request when the method returns.
func TestOutstayedSlot(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 15 s: a slot is only taken back some time after its deadline")
	}
	b := start(t, func(o *testbed.Options) {
		handlerOf(t, o, "timeout = 3")
		delete(o.Config, "global_plugins")
	})
	slow := make(chan int, 1)
	go func() {
		r, err := http.NewRequestWithContext(b.ctx, http.MethodPost, b.Host.URL()+"/direct", &trickle{last: 15 * time.Second})
		require.NoError(t, err)
		r.ContentLength = trickleBytes
		r.Header.Set("x-do", "body")
		response, err := b.Client.Do(r)
		require.NoError(t, err)
		_ = response.Body.Close()
		slow <- response.StatusCode
	}()
	for len(slow) == 0 {
		r := b.do("sleep:700ms")
		require.Equal(t, 200, r.status)
	}
	require.Equal(t, 504, <-slow)
	b.unharmed()
}

// trickle is a request body that arrives slowly.
type trickle struct {
	last time.Duration
	sent int
}

const trickleBytes = 100

func (s *trickle) Read(p []byte) (int, error) {
	if s.sent == trickleBytes {
		return 0, io.EOF
	}
	time.Sleep(s.last / trickleBytes) // it is the slowness that is tested
	s.sent++
	p[0] = 'x'
	return 1, nil
}
