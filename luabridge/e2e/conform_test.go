package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/luabridge/e2e/conform"
	"github.com/kongring/kongring/luabridge/host"
	"github.com/kongring/kongring/luabridge/testbed"
	"github.com/kongring/kongring/luabridge/testcert"
)

// The conformance suite on the nginx host, over the rings: as plugins run, and
// with every call a round trip.
func TestConformance(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	own, err := testbed.Compile(ctx, t.TempDir(), "./luabridge/e2e/conform/server")
	require.NoError(t, err)
	own.Library = build.Library
	t.Setenv("CONFORM_SECRET", "very secret")
	for name, args := range map[string][]string{
		"fewer round trips": nil, "every call": {"-sync"}, "over the socket": {"-carrier", "socket"},
	} {
		t.Run(name, func(t *testing.T) {
			conform.Run(t, conformanceHost(t, ctx, own, args, ""))
		})
	}
	t.Run("stock", func(t *testing.T) {
		p := conformanceHost(t, ctx, own, nil, stockHandler)
		p.Carrier, p.Phases = conform.Stock, []string{"certificate", "rewrite", "access", "response"}
		conform.Run(t, p)
	})
}

// stockHandler runs the plugin without the bridge.
const stockHandler = `return require("stock_handler").new {
  name = "conform", socket = %q, phases = { "certificate", "rewrite", "access", "response" },
}
`

// conformanceHost is the host as a place for the suite; handler is a handler
// for the plugin in place of the one that -install writes.
func conformanceHost(t *testing.T, ctx context.Context, own testbed.Build, args []string, handler string) conform.Place {
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("x-other", "yes")
	}))
	t.Cleanup(other.Close)
	dir, err := os.MkdirTemp("", "kr") // short: a socket lies in it
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	out := filepath.Join(dir, "out")
	require.NoError(t, os.WriteFile(out, nil, 0o666))
	luaPath := []string{filepath.Join(own.Root, "luabridge", "e2e", "testdata", "lua")}
	if handler != "" {
		file := filepath.Join(dir, "front", "kong", "plugins", "conform", "handler.lua")
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, handler, filepath.Join(dir, "s")), 0o644))
		luaPath = append(luaPath, filepath.Join(dir, "front"))
	}
	handshake := filepath.Join(dir, "handshake")
	require.NoError(t, os.WriteFile(handshake, []byte("{}"), 0o666))
	pair, err := testcert.New("127.0.0.1", nil)
	require.NoError(t, err)
	certificate, key, err := pair.Write(dir)
	require.NoError(t, err)
	both := object{"out": out, "handshake": handshake}
	b, err := testbed.Start(ctx, testbed.Options{
		Build: own, Dir: dir, Args: args,
		Config: testbed.Config{
			"trusted_ips": []string{"127.0.0.1"},
			"consumers":   []interface{}{object{"username": "ann", "custom_id": "7", "tags": []string{"x"}}},
			"plugins":     []string{"conform", "conform-lua"},
			"services":    []interface{}{object{"name": "s", "url": "UPSTREAM/base", "tags": []string{"t"}}},
			"upstreams":   []interface{}{object{"name": "other", "target": strings.TrimPrefix(other.URL, "http://")}},
			"global_plugins": []interface{}{
				object{"name": "conform", "config": both}, object{"name": "conform-lua", "config": both},
			},
			"routes": []interface{}{object{"name": "r", "paths": []string{"/conform"}, "service": "s"}},
		},
		Host: host.Options{LuaPath: luaPath, Certificate: certificate, Key: key},
	})
	require.NoError(t, err)
	b.Client.Transport.(*http.Transport).TLSClientConfig = pair.Trusting()
	t.Cleanup(func() { require.NoError(t, b.Stop(ctx)) })
	return conform.Place{
		URL: b.Host.URL(), TLSURL: b.Host.TLSURL(), Out: out, Handshake: handshake, Client: b.Client,
		Phases: []string{"certificate", "rewrite", "access", "response", "log"},
	}
}
