package metrics

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const patience = 20 * time.Second

// socketPath gives a path that is short enough however long the test's name.
func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "metrics")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return filepath.Join(dir, "s")
}

func options(profiles bool) Options {
	return Options{
		Collector: NewCollector(nil, "v1", func() Snapshot { return Snapshot{} }),
		Health:    func() error { return nil }, Profiles: profiles, Logger: slog.New(slog.DiscardHandler),
	}
}

func serve(t *testing.T, network, address string, o Options) string {
	t.Helper()
	l, err := Listen(network, address, 0o660, -1)
	require.NoError(t, err)
	s := Serve(l, o)
	t.Cleanup(s.Close)
	return l.Addr().String()
}

// get asks a server for a path.
func get(t *testing.T, network, address, path string) (status int, body string) {
	t.Helper()
	c := http.Client{Timeout: patience, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, address)
		},
	}}
	r, err := c.Get("http://server" + path)
	require.NoError(t, err)
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	return r.StatusCode, string(text)
}

func TestAddresses(t *testing.T) {
	for _, tc := range []struct{ text, network, address, says string }{
		{"127.0.0.1:9100", "tcp", "127.0.0.1:9100", ""},
		{":9100", "tcp", ":9100", ""},
		{"[::1]:0", "tcp", "[::1]:0", ""},
		{"unix:/run/m", "unix", "/run/m", ""},
		{"", "", "", "want HOST:PORT or unix:PATH"},
		{"9100", "", "", "want HOST:PORT or unix:PATH"},
		{"localhost:", "", "", "want HOST:PORT or unix:PATH"},
		{"localhost:99999", "", "", "want HOST:PORT or unix:PATH"},
		{"/run/m", "", "", "want HOST:PORT or unix:PATH"},
		{"unix:", "", "", "want a path of 1 to 107 bytes"},
		{"unix:" + strings.Repeat("x", 108), "", "", "want a path of 1 to 107 bytes"},
	} {
		network, address, err := ParseAddress(tc.text)
		require.Equal(t, []string{tc.network, tc.address}, []string{network, address}, tc.text)
		if tc.says == "" {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, tc.says)
		}
	}
}

func TestUnixSocket(t *testing.T) {
	path := socketPath(t)
	l, err := Listen("unix", path, 0o660, -1)
	require.NoError(t, err)
	stat, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o660), stat.Mode().Perm())

	_, err = Listen("unix", path, 0o660, -1)
	require.ErrorIs(t, err, syscall.EADDRINUSE, "somebody listens")
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	require.NoError(t, l.Close())
	require.FileExists(t, path)
	serve(t, "unix", path, options(false)) // left behind
	status, _ := get(t, "unix", path, "/healthz")
	require.Equal(t, http.StatusOK, status)
}

func TestWhatIsNoSocketStays(t *testing.T) {
	path := socketPath(t)
	require.NoError(t, os.WriteFile(path, []byte("mine"), 0o600))
	_, err := Listen("unix", path, 0o660, -1)
	require.ErrorIs(t, err, syscall.EADDRINUSE)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "mine", string(text))
	_, err = Listen("unix", filepath.Join(path, "below"), 0o660, -1)
	require.ErrorContains(t, err, "metrics: ")
}

func TestAnswers(t *testing.T) {
	o := options(false)
	var sick error
	o.Health = func() error { return sick }
	address := serve(t, "tcp", "127.0.0.1:0", o)
	status, body := get(t, "tcp", address, "/metrics")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, body, `kongring_build_info{goversion="go`)
	require.Contains(t, body, "\ngo_goroutines ")
	require.Contains(t, body, "\nprocess_open_fds ")

	status, body = get(t, "tcp", address, "/healthz")
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "ok\n", body)
	sick = errors.New("it stops")
	status, body = get(t, "tcp", address, "/healthz")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Equal(t, "it stops\n", body)

	for _, path := range []string{"/", "/debug/pprof/", "/debug/pprof/heap"} {
		status, _ = get(t, "tcp", address, path)
		require.Equal(t, http.StatusNotFound, status, path)
	}
}

func TestProfiles(t *testing.T) {
	path := socketPath(t)
	serve(t, "unix", path, options(true))
	const gzip = "\x1f\x8b"
	for _, tc := range []struct {
		path   string
		status int
		starts string
	}{
		{"", 200, "profile: "}, {"heap", 200, gzip}, {"heap?gc=1", 200, gzip}, {"goroutine?debug=2", 200, "goroutine "},
		{"profile?seconds=1", 200, gzip}, {"trace?seconds=1", 200, "go 1."},
		{"profile?seconds=0", 400, "seconds=0: want"}, {"trace?seconds=x", 400, "seconds=x: want"},
		{"profile?seconds=301", 400, "seconds=301: want"}, {"nothing", 404, "no profile"},
	} {
		status, body := get(t, "unix", path, "/debug/pprof/"+tc.path)
		require.Equal(t, tc.status, status, tc.path)
		require.True(t, strings.HasPrefix(body, tc.starts), "%s: %.20q", tc.path, body)
	}
	// Importing the package gives nothing to whoever serves the default mux.
	_, pattern := http.DefaultServeMux.Handler(&http.Request{Method: "GET", URL: mustURL("/debug/pprof/heap")})
	require.Empty(t, pattern)
}

// A profile under way does not keep the server from its end.
func TestCloseEndsProfiles(t *testing.T) {
	path := socketPath(t)
	l, err := Listen("unix", path, 0o660, -1)
	require.NoError(t, err)
	s := Serve(l, options(true))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for status := 0; status != http.StatusOK; { // the look below may come first
			status, _ = get(t, "unix", path, "/debug/pprof/trace?seconds=300")
		}
	}()
	require.Eventually(t, func() bool {
		status, _ := get(t, "unix", path, "/debug/pprof/trace?seconds=1")
		return status == http.StatusConflict
	}, patience, time.Millisecond)
	s.Close()
	select {
	case <-ended:
	case <-time.After(patience):
		t.Fatal("the profile goes on")
	}
	require.NoFileExists(t, path)
}

func mustURL(path string) *url.URL { return &url.URL{Path: path} }
