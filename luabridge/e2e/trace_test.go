package e2e_test

import (
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/luabridge/testbed"
)

// In LuaJIT's own word, an event is compiled: once traffic has been there for a
// while, the compiler gives nothing of the bridge up, has met nothing that it
// cannot compile, and no trace leads back into the interpreter.
func TestEventIsCompiled(t *testing.T) {
	for name, load := range map[string]struct {
		deed        string
		connections int
	}{
		"alone":                {"mix", 1},
		"others wait":          {"mix", 8},
		"nothing to do, alone": {"nothing", 1},
		"nothing to do":        {"nothing", 8},
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t, func(o *testbed.Options) {
				handlerOf(t, o, "") // access alone
				o.Host.LuaPath = append(o.Host.LuaPath, filepath.Join(o.Build.Root, "luabridge", "e2e", "testdata", "lua"))
				o.Config = testbed.Config{
					"plugins": []string{"probe", "traces"},
					"routes": []interface{}{
						object{"name": "d", "paths": []string{"/direct"}, "plugins": []interface{}{object{"name": "probe"}}},
						object{"name": "t", "paths": []string{"/traces"}, "plugins": []interface{}{object{"name": "traces"}}},
					},
				}
			})
			b.flood(load.deed, load.connections, 4000)
			compiled := b.traces()
			require.Contains(t, compiled, "compiled handler.lua")

			b.eventually("a compiler that gives nothing up", func() bool {
				b.flood(load.deed, load.connections, 2000)
				news := b.traces()
				compiled = append(compiled, news...)
				return len(news) == 1 || strings.HasPrefix(news[len(news)-1], "compiled")
			})
			for _, line := range compiled {
				require.NotContains(t, line, "blacklisted")
				require.NotContains(t, line, "NYI: bytecode")
				require.NotContains(t, line, "NYI: FastFunc")
				require.NotContains(t, line, "interpreter")
			}
		})
	}
}

// In the log phase, where the way out of the handler is one out of a pcall, the
// compiler keeps what does the work, and meets nothing that it cannot compile.
func TestPostedEventIsCompiled(t *testing.T) {
	b := start(t, func(o *testbed.Options) {
		logAlone(t, o, "")
		o.Host.LuaPath = append(o.Host.LuaPath, filepath.Join(o.Build.Root, "luabridge", "e2e", "testdata", "lua"))
		o.Config["plugins"] = []string{"probe", "traces"}
		o.Config["routes"] = append(o.Config["routes"].([]interface{}),
			object{"name": "t", "paths": []string{"/traces"}, "plugins": []interface{}{object{"name": "traces"}}})
	})
	b.eventually("everything is compiled", func() bool {
		b.flood("nothing", 4, 2000)
		news := strings.Join(b.traces(), "\n")
		require.NotContains(t, news, "blacklisted")
		require.NotContains(t, news, "NYI: bytecode")
		require.NotContains(t, news, "NYI: FastFunc")
		for _, file := range []string{"session_posted", "call"} {
			if !strings.Contains(news, "compiled "+file+".lua") {
				return false
			}
		}
		return true
	})
}

// flood sends requests for a deed over several connections.
func (b *bed) flood(deed string, connections, requests int) {
	b.t.Helper()
	var wg sync.WaitGroup
	failed := make([]error, connections)
	for c := range connections {
		wg.Go(func() {
			for i := 0; i < requests/connections && failed[c] == nil; i++ {
				_, failed[c] = b.try("/direct?a=1", nil, "x-do", deed, "x-twice", "one")
			}
		})
	}
	wg.Wait()
	for _, err := range failed {
		require.NoError(b.t, err)
	}
}

// traces gives the compiler's news since the last call.
func (b *bed) traces() []string {
	b.t.Helper()
	r, err := b.try("/traces", nil)
	require.NoError(b.t, err)
	require.Equal(b.t, 200, r.status, r.body)
	return strings.Split(r.body, "\n")
}
