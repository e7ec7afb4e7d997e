package e2e_test

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/luabridge/testbed"
)

// quickSweep makes workers look often for instances that nothing needs.
func quickSweep(t *testing.T, o *testbed.Options) {
	for _, module := range []string{"doorbell.lua", "pump.lua"} {
		patched(t, o, module, "SWEEP = 5", "SWEEP = 0.01")
	}
}

// versions makes the bed one with the plugin versions on /v.
func versions(t *testing.T, o *testbed.Options, workers int) {
	o.Host.Workers = workers
	handlerOf(t, o, "")
	quickSweep(t, o)
	o.Host.LuaPath = append(o.Host.LuaPath, filepath.Join(o.Build.Root, "luabridge", "e2e", "testdata", "lua"))
	o.Config = testbed.Config{
		"plugins": []string{"probe", "versions"},
		"routes":  []interface{}{object{"name": "v", "paths": []string{"/v"}, "plugins": []interface{}{object{"name": "versions"}}}},
	}
}

// said is what the plugin says for a version of its config.
func (b *bed) said(version string, headers ...string) string {
	b.t.Helper()
	r, err := b.try("/v", nil, append([]string{"x-version", version, "connection", "close"}, headers...)...)
	require.NoError(b.t, err)
	require.Equal(b.t, 200, r.status, r.body)
	return r.body
}

// instances waits until the server has so many.
func (b *bed) instances(n int) {
	b.t.Helper()
	b.eventually(fmt.Sprintf("the server has %d instances", n), func() bool {
		stats, err := b.Server.Stats()
		require.NoError(b.t, err)
		return stats.Instances == n
	})
}

func (b *bed) started() int { return strings.Count(b.Server.Log(), "instance started") }

// A request that began with the old config ends with it, on the instance that it
// had, while others have the new one already. Then the old one is closed, and the
// last one when its entity is gone.
func TestConfigChanges(t *testing.T) {
	carriers(t, func(t *testing.T) {
		b := start(t, func(o *testbed.Options) { versions(t, o, 1) })
		require.Equal(t, "1", b.said("1"))
		old := make(chan string, 1)
		go func() { old <- b.said("1", "x-do", "sleep:500ms") }()
		b.logged("probe: sleeps")
		require.Equal(t, "2", b.said("2"))
		b.instances(2)
		require.Equal(t, "1", <-old)
		require.Equal(t, 2, b.started(), b.Server.Log())
		b.instances(1)
		require.Equal(t, "2", b.said("2"))
		require.Equal(t, "deleted", b.said("none"))
		require.Equal(t, 2, b.started())
	})
}

// An instance that nobody uses is there as long as its config is, while those of
// others come and go.
func TestInstanceDoesNotExpire(t *testing.T) {
	b := start(t, func(o *testbed.Options) { versions(t, o, 1) })
	require.Equal(t, "1", b.said("1"))
	const changes = 10
	for i := range changes {
		version := strconv.Itoa(i)
		require.Equal(t, version, b.said(version, "x-entity", "another"))
		b.instances(2)
	}
	require.Equal(t, "1", b.said("1"))
	require.Equal(t, 1+changes, b.started())
}

// Workers share the instance of an entity and a config.
func TestWorkersShareInstances(t *testing.T) {
	b := start(t, func(o *testbed.Options) { versions(t, o, 2) })
	b.workers(2)
	for _, version := range []string{"1", "2"} {
		b.eventually("both workers have the config", func() bool {
			require.Equal(t, version, b.said(version))
			stats, err := b.Server.Stats()
			require.NoError(t, err)
			require.Len(t, stats.Sessions, 2)
			for _, n := range stats.Sessions {
				if n.Server.Instances < map[string]uint64{"1": 1, "2": 2}[version] {
					return false
				}
			}
			return true
		})
		b.instances(1)
	}
	require.Equal(t, 4, b.started(), "each worker once for each config")
}

// After a restart of the server no number means what it meant before.
func TestInstancesAfterARestart(t *testing.T) {
	b := start(t, func(o *testbed.Options) {
		handlerOf(t, o, "")
		o.Config = testbed.Config{"plugins": []string{"probe"}}
		routes := []interface{}{}
		for _, name := range []string{"a", "b", "c"} {
			conf := object{"do": "say:" + name}
			routes = append(routes, object{"name": name, "paths": []string{"/" + name},
				"plugins": []interface{}{object{"name": "probe", "config": conf}}})
		}
		o.Config["routes"] = routes
	})
	say := func(name string) int {
		r, err := b.try("/"+name, nil)
		require.NoError(t, err)
		if r.status == 200 {
			require.Equal(t, name, r.body)
		}
		return r.status
	}
	for _, order := range []string{"abc", "cba", "bca"} {
		for _, name := range order {
			b.eventually("requests succeed", func() bool { return say(string(name)) == 200 })
		}
		b.Server.Kill()
		require.Equal(t, 503, say("a"))
		require.NoError(t, b.StartServer(b.ctx))
	}
}

// An instance whose start came too late for its request is not kept for nobody.
func TestInstanceThatStartsTooLate(t *testing.T) {
	b := start(t, func(o *testbed.Options) {
		quickSweep(t, o)
		o.Config = testbed.Config{"plugins": []string{"strict"}, "routes": []interface{}{object{
			"name": "s", "paths": []string{"/s"}, "plugins": []interface{}{object{"name": "strict", "config": object{
				"name": "300ms", "kongring": object{"timeout": 0.1}}}},
		}}}
	})
	r, err := b.try("/s", nil)
	require.NoError(t, err)
	require.Equal(t, 504, r.status)
	b.logged("the instance did not start in time")
	b.logged("instance started")
	b.logged("instance closed")
	b.instances(0)
}
