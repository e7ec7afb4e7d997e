package kongtest_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/luabridge/e2e/conform"
	"github.com/kongring/kongring/luabridge/kongrun"
	"github.com/kongring/kongring/luabridge/testbed"
	"github.com/kongring/kongring/luabridge/testcert"
)

// The conformance suite in Kong, over the rings, over the socket, and as a Kong
// without the bridge has it.
func TestConformance(t *testing.T) {
	for name, args := range map[string][]string{"rings": nil, "socket": {"-carrier", "socket"}} {
		t.Run(name, func(t *testing.T) {
			found := conform.Run(t, conformancePlace(t, testbed.Options{Args: args}, nil))
			t.Run("findings", func(t *testing.T) { compareFindings(t, found) })
		})
	}
	t.Run("stock", func(t *testing.T) {
		p := conformancePlace(t, testbed.Options{NoServer: true}, func(dir string) map[string]string {
			return pluginServer("conform", conformance.Server, dir)
		})
		p.Carrier, p.Phases = conform.Stock, []string{"certificate", "rewrite", "access", "response"}
		conform.Run(t, p)
	})
}

// pluginServer are the settings by which Kong starts a plugin server itself and
// asks it for its plugin.
func pluginServer(name, binary, dir string) map[string]string {
	key, socket := "pluginserver_"+name, testbed.SocketIn(dir)
	return map[string]string{
		"pluginserver_names": name,
		key + "_socket":      socket,
		key + "_start_cmd":   binary + " -socket " + socket,
		key + "_query_cmd":   binary + " -dump",
	}
}

// conformancePlace is Kong as a place for the suite. With settings it runs the
// plugin in Go without the bridge.
func conformancePlace(t *testing.T, o testbed.Options, settings func(dir string) map[string]string) conform.Place {
	ctx, dir := timeLimit(t), shortDir(t)
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("x-other", "yes")
	}))
	t.Cleanup(other.Close)
	out := filepath.Join(dir, "out")
	require.NoError(t, os.WriteFile(out, nil, 0o666))

	o.Build, o.Dir, o.NoHost = conformance, dir, true
	b, err := testbed.Start(ctx, o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Stop(ctx)) })

	handshake := filepath.Join(dir, "handshake")
	require.NoError(t, os.WriteFile(handshake, []byte("{}"), 0o666))
	pair, err := testcert.New("127.0.0.1", nil)
	require.NoError(t, err)
	certificate, key, err := pair.Write(dir)
	require.NoError(t, err)
	b.Client.Transport.(*http.Transport).TLSClientConfig = pair.Trusting()
	both := object{"out": out, "handshake": handshake}
	ko := kongrun.Options{
		Dir: dir, Plugins: []string{"conform", "conform-lua"}, Certificate: certificate, Key: key,
		LuaPath:  []string{filepath.Join(conformance.Root, "luabridge", "e2e", "testdata", "lua")},
		Settings: map[string]string{"trusted_ips": "127.0.0.1"},
		Env:      map[string]string{"CONFORM_SECRET": "very secret"},
		Config: kongrun.Config{
			"consumers": list{object{"username": "ann", "custom_id": "7", "tags": list{"x"}}},
			"services": list{object{
				"name": "s", "url": b.Upstream.URL + "/base", "tags": list{"t"},
				"routes": list{object{"name": "r", "paths": list{"/conform"}}},
			}},
			"upstreams": list{object{
				"name": "other", "targets": list{object{"target": strings.TrimPrefix(other.URL, "http://")}},
			}},
			"plugins": list{
				object{"name": "conform", "config": both}, object{"name": "conform-lua", "config": both},
			},
		},
	}
	if settings != nil {
		for key, value := range settings(dir) {
			ko.Settings[key] = value
		}
	} else {
		ko.LuaPath = append(ko.LuaPath, b.LuaPath(), installed)
	}
	k, err := kongrun.Start(ctx, ko)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, k.Stop(ctx)) })
	t.Cleanup(func() {
		if log, err := k.ErrorLog(); t.Failed() {
			require.NoError(t, err)
			t.Log(log[max(0, len(log)-4000):])
		}
	})
	listens(t, ctx, b.Socket())
	return conform.Place{
		URL: k.URL(), TLSURL: k.TLSURL(), Out: out, Handshake: handshake, Client: b.Client,
		Phases: []string{"certificate", "rewrite", "access", "response", "log"},
	}
}
