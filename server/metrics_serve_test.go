package server_test

import (
	"context"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/server"
	"github.com/kongring/kongring/server/pdk"
	"github.com/kongring/kongring/server/wire"
)

// freePort gives an address that nobody listens on.
func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return l.Addr().String()
}

func TestMetricsOverTCP(t *testing.T) {
	address := freePort(t)
	_, socket := plain(t, withCalls(), server.WithMetrics(address))
	w := attach(t, socket)
	in := w.instance("scripted", `{}`)
	for range 10 {
		w.play(1, in)
		scrape(t, address)
	}
	until(t, address, "kongring_events_total"+accessed, 10)
	status, _ := ask(t, address, "/debug/pprof/")
	require.Equal(t, http.StatusNotFound, status)
}

// The socket of the metrics has the mode and the owner of the plugins' own.
func TestMetricsSocketIsLikeTheServers(t *testing.T) {
	for _, mode := range []os.FileMode{0o660, 0o604} {
		address := unixAddress(t)
		_, socket := plain(t, withCalls(), server.WithMetrics(address), server.WithSocketMode(mode))
		own, err := os.Stat(socket)
		require.NoError(t, err)
		other, err := os.Stat(strings.TrimPrefix(address, "unix:"))
		require.NoError(t, err)
		require.Equal(t, mode, other.Mode().Perm())
		require.Equal(t, own.Mode(), other.Mode())
		is, want := other.Sys().(*syscall.Stat_t), own.Sys().(*syscall.Stat_t)
		require.Equal(t, []uint32{want.Uid, want.Gid}, []uint32{is.Uid, is.Gid})
	}
}

func TestPprofOnlyIfAskedFor(t *testing.T) {
	address := unixAddress(t)
	plain(t, withCalls(), server.WithMetrics(address), server.WithMetricsPprof())
	status, body := ask(t, address, "/debug/pprof/goroutine?debug=1")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, body, "goroutine profile:")
}

func TestMetricsAddressHasToMakeSense(t *testing.T) {
	_, err := server.New(server.WithMetrics("9542"))
	require.EqualError(t, err, `new plugin server: metrics at "9542": want HOST:PORT or unix:PATH`)
}

// The health ends before the server does: what is under way has its time.
func TestHealth(t *testing.T) {
	address, release := unixAddress(t), make(chan struct{})
	socket := socketPath(t)
	s := newServer(t, socket, server.WithMetrics(address), withHeld(release))
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx) }()
	require.Eventually(t, s.Listening, patience, time.Millisecond)
	w := attach(t, socket)
	w.event(1, w.instance("held", `{}`))
	until(t, address, "kongring_events_under_way", 1)
	status, _ := ask(t, address, "/healthz")
	require.Equal(t, http.StatusOK, status)

	stop()
	got := until(t, address, "kongring_stopping", 1)
	require.EqualValues(t, 1, got["kongring_events_under_way"])
	status, body := ask(t, address, "/healthz")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Equal(t, "the plugin server stops\n", body)
	close(release)
	w.hangUp()
	require.NoError(t, <-ended)
	require.NoFileExists(t, strings.TrimPrefix(address, "unix:"))
}

// A server that finds its address taken does not start, unless it takes the
// place of another one: then that has the address until its end.
func TestMetricsAddressInUse(t *testing.T) {
	for _, address := range []string{freePort(t), unixAddress(t)} {
		first, socket := plain(t, withCalls(), server.WithMetrics(address))
		scrape(t, address)

		elsewhere := socketPath(t)
		err := newServer(t, elsewhere, server.WithMetrics(address)).Serve(t.Context())
		require.ErrorIs(t, err, syscall.EADDRINUSE)
		require.NotContains(t, err.Error(), "\n")
		require.NoFileExists(t, elsewhere)

		next := newServer(t, socket, server.WithMetrics(address))
		ended := make(chan error, 1)
		go func() { ended <- next.Serve(t.Context()) }()
		require.Eventually(t, next.Listening, patience, time.Millisecond)
		attach(t, socket).instance("scripted", `{}`)
		require.Zero(t, scrape(t, address)["kongring_instances"], "the first one's")

		require.NoError(t, first.Close())
		require.Eventually(t, func() bool {
			_, text, err := tryAsk(address, "/metrics")
			return err == nil && strings.Contains(text, "\nkongring_instances 1\n")
		}, patience, time.Millisecond, "the next one has it")
		require.NoError(t, next.Close())
		require.ErrorIs(t, <-ended, server.ErrServerClosed)
	}
}

// A server ends that still waits for its address.
func TestMetricsThatNeverCame(t *testing.T) {
	address := unixAddress(t)
	_, socket := plain(t, withCalls(), server.WithMetrics(address))
	next := newServer(t, socket, server.WithMetrics(address))
	ended := make(chan error, 1)
	go func() { ended <- next.Serve(t.Context()) }()
	require.Eventually(t, next.Listening, patience, time.Millisecond)
	require.NoError(t, next.Close())
	require.ErrorIs(t, <-ended, server.ErrServerClosed)
	scrape(t, address)
}

func TestMetricsFlags(t *testing.T) {
	for _, tc := range []struct {
		args []string
		says string
	}{
		{[]string{"-metrics", "9542"}, "flag -metrics=9542: want HOST:PORT or unix:PATH"},
		{[]string{"-metrics-pprof"}, "flag -metrics-pprof: it wants -metrics as well"},
	} {
		_, text, status := says(t, "pair", "pair", tc.args...)
		require.Equal(t, 2, status)
		require.Contains(t, text, tc.says)
		require.Equal(t, 1, strings.Count(text, "\n"), text)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	socket := socketPath(t)
	_, text, status := says(t, "pair", "pair", "-socket", socket, "-metrics", l.Addr().String())
	require.Equal(t, 1, status)
	require.Equal(t, "metrics: listen tcp "+l.Addr().String()+": bind: address already in use\n", text)
	require.NoFileExists(t, socket)
}

// Without the option nobody counts, and nothing listens.
func TestMetricsAreOff(t *testing.T) {
	s, socket := plain(t, withCalls())
	require.False(t, s.Metered())
	w := attach(t, socket)
	w.play(1, w.instance("scripted", `{}`))
	require.Equal(t, 1, sockets(t), "the control socket alone listens")
}

// sockets counts the listening sockets of this process.
func sockets(t *testing.T) (n int) {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	for _, fd := range fds {
		var number int
		for _, c := range fd.Name() {
			number = 10*number + int(c-'0')
		}
		if on, err := syscall.GetsockoptInt(number, syscall.SOL_SOCKET, syscall.SO_ACCEPTCONN); err == nil {
			n += on
		}
	}
	return n
}

// An event with its calls allocates no more with metrics, or while it is watched,
// than without.
func TestMetricsAllocateNothing(t *testing.T) {
	allocs := func(watched bool, opts ...server.Option) float64 {
		s, socket := plain(t, append(opts, server.WithoutPrefetch(), withScript(func(_ *scripted, kong *pdk.PDK) {
			must(kong.Response.SetHeader("a", "1"))
		}))...)
		if watched {
			watch(t, socket)
		}
		w := attach(t, socket)
		in := w.instance("scripted", `{}`)
		event := func() { w.expect(wire.TypeDone, w.event(1, in)) }
		for range 100 {
			event() // what is kept for the next one is there
		}
		n := testing.AllocsPerRun(2000, event)
		require.Equal(t, watched || len(opts) > 0, s.Timed())
		return n
	}
	off := allocs(false)
	require.LessOrEqual(t, allocs(false, server.WithMetrics(unixAddress(t))), off)
	require.LessOrEqual(t, allocs(true), off)
}
