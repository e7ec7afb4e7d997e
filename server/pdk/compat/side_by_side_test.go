package compat

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/luabridge/pages"
	"github.com/kongring/kongring/luabridge/testbed"
)

// A copy of the binary without modules of its own stands beside the original, is
// reached as by a Kong without the bridge, and does the same.
func TestPortedSideBySide(t *testing.T) {
	_, after := port(t)
	copies := t.TempDir()
	pages.Run(t, copies, "cp "+filepath.Join(after, "session", "session")+" my-plugin")
	pages.Run(t, copies, commands(t, "Side by side"))
	const stock = "my-plugin-stock"
	config := object{"issuer": "us", "scopes": []string{"read"}}
	route := func(plugin string) object {
		return object{
			"name": plugin, "paths": []string{"/" + plugin}, "service": "s", "strip_path": true,
			"plugins": []object{{"name": plugin, "config": config}},
		}
	}
	_, do := serve(t, "session", map[string]string{"SESSION_KEY": "secret"}, config, func(o *testbed.Options) {
		socket := filepath.Join(o.Dir, "stock")
		server, err := testbed.StartServer(t.Context(), filepath.Join(copies, stock), socket, filepath.Join(o.Dir, "stock.log"))
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, server.Stop(context.Background())) })

		front := filepath.Join(o.Dir, "front")
		modules := filepath.Join(front, "kong", "plugins", stock)
		require.NoError(t, os.MkdirAll(modules, 0o755))
		handler := fmt.Sprintf(`return require("stock_handler").new { name = %q, socket = %q, phases = { "access" } }`, stock, socket)
		require.NoError(t, os.WriteFile(filepath.Join(modules, "handler.lua"), []byte(handler), 0o644))
		o.Host.LuaPath = []string{front, filepath.Join(o.Build.Root, "luabridge", "e2e", "testdata", "lua")}
		o.Config["plugins"] = []string{"session", stock}
		o.Config["routes"] = []object{route("session"), route(stock)}
	})

	for status, authorization := range map[int]string{
		200: "Bearer " + token("secret", "ann", time.Now().Add(time.Hour)),
		401: "Bearer " + token("guessed", "ann", time.Now().Add(time.Hour)),
		403: "Bearer " + token("secret", "bob", time.Now().Add(time.Hour)),
	} {
		bridged := do("GET", "/session/a", "", "Authorization", authorization)
		beside := do("GET", "/"+stock+"/a", "", "Authorization", authorization)
		require.Equal(t, status, bridged.StatusCode)
		require.Equal(t, status, beside.StatusCode)
		require.Equal(t, bodyOf(t, bridged), bodyOf(t, beside))
		require.Equal(t, sameHeaders(bridged), sameHeaders(beside))
	}
}

// sameHeaders gives the headers of an answer that do not differ from request to
// request.
func sameHeaders(r *http.Response) http.Header {
	h := r.Header.Clone()
	for _, name := range []string{"Date", "X-Got-Forwarded-Path", "X-Got-Forwarded-Prefix", "X-Kong-Request-Id", "X-Got-Kong-Request-Id"} {
		h.Del(name)
	}
	return h
}
