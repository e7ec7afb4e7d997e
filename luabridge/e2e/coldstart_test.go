package e2e_test

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/luabridge/testbed"
)

// BenchmarkColdStart starts the process of the example hello each time anew,
// while an nginx with the bridge looks for it, as after a plugin server's death.
// The time is that from before the process is started until a request was served
// by the plugin; the bridge looks for the server at growing intervals, up to 250
// ms, and that is in it:
//
//	go test ./luabridge/e2e -run '^$' -bench ColdStart -benchtime 30x
//
// The server's own part of it is in package server.
func BenchmarkColdStart(b *testing.B) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	dir, err := os.MkdirTemp("", "kr") // short: a socket lies in it
	require.NoError(b, err)
	defer func() { require.NoError(b, os.RemoveAll(dir)) }()
	hello, err := testbed.Compile(ctx, dir, "./server/examples/cmd/hello")
	require.NoError(b, err)
	bed, err := testbed.Start(ctx, testbed.Options{
		Build: hello, Dir: dir, NoServer: true,
		Config: testbed.Config{
			"plugins": []string{"hello"},
			"routes":  []interface{}{object{"name": "r", "paths": []string{"/"}, "plugins": []interface{}{object{"name": "hello"}}}},
		},
	})
	require.NoError(b, err)
	defer func() { require.NoError(b, bed.Stop(ctx)) }()
	until := func(status int) {
		err := testbed.Eventually(ctx, patience, http.StatusText(status), func() bool {
			answer, err := bed.Client.Get(bed.Host.URL())
			require.NoError(b, err)
			_, _ = io.Copy(io.Discard, answer.Body)
			require.NoError(b, answer.Body.Close())
			return answer.StatusCode == status
		})
		require.NoError(b, err)
	}
	until(http.StatusServiceUnavailable)
	for b.Loop() {
		server, err := testbed.StartServer(ctx, hello.Server, bed.Socket(), filepath.Join(dir, "server.log"))
		require.NoError(b, err)
		until(http.StatusOK)

		b.StopTimer()
		require.NoError(b, server.Stop(ctx))
		until(http.StatusServiceUnavailable)
		b.StartTimer()
	}
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms/served")
}
