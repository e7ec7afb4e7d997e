package e2e_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/luabridge/testbed"
)

// entities gives a config with a route for each, whose path is its name, with
// an entity of the plugin probe that has these options.
func entities(options map[string]object) testbed.Config {
	routes := []interface{}{}
	for name, o := range options {
		conf := object{}
		if o != nil {
			conf["kongring"] = o
		}
		routes = append(routes, object{
			"name": name, "paths": []string{"/" + name},
			"plugins": []interface{}{object{"name": "probe", "instance_name": name, "config": conf}},
		})
	}
	return testbed.Config{"plugins": []string{"probe"}, "routes": routes}
}

// status is what a request for a path and a deed is answered with.
func (b *bed) status(path, deed string) int {
	b.t.Helper()
	r, err := b.try(path, nil, "x-do", deed)
	require.NoError(b.t, err)
	return r.status
}

// Entities of one plugin have policies of their own; one without has that of
// handler.lua, and the entity's word counts more.
func TestFailurePolicyOfAnEntity(t *testing.T) {
	for _, tc := range []struct {
		handler                string
		open, closed, unmarked int
	}{
		{``, 200, 503, 503},
		{`failure_policy = "open"`, 200, 503, 200},
	} {
		t.Run(tc.handler, func(t *testing.T) {
			b := start(t, func(o *testbed.Options) {
				handlerOf(t, o, tc.handler)
				o.Config = entities(map[string]object{
					"open": {"failure_policy": "open"}, "closed": {"failure_policy": "closed"}, "unmarked": nil,
				})
			})
			for _, path := range []string{"/open", "/closed", "/unmarked"} {
				require.Equal(t, 200, b.status(path, "nothing"))
				require.Equal(t, 500, b.status(path, "panic"), "a handler that fails is no server that is away")
			}
			b.Server.Kill()
			b.eventually("the worker notices", func() bool { return b.status("/closed", "nothing") == 503 })
			require.Equal(t, tc.open, b.status("/open", "nothing"))
			require.Equal(t, tc.closed, b.status("/closed", "nothing"))
			require.Equal(t, tc.unmarked, b.status("/unmarked", "nothing"))
		})
	}
}

func TestTimeoutOfAnEntity(t *testing.T) {
	b := start(t, func(o *testbed.Options) {
		handlerOf(t, o, "timeout = 0.1")
		o.Config = entities(map[string]object{"short": {"timeout": 0.05}, "long": {"timeout": 30}, "unmarked": nil})
	})
	require.Equal(t, 200, b.status("/long", "sleep:300ms"))
	require.Equal(t, 504, b.status("/short", "sleep:1h"))
	require.Equal(t, 504, b.status("/unmarked", "sleep:1h"))
}

// carriersNow are the carriers of the sessions that there are.
func (b *bed) carriersNow() map[string]int {
	b.t.Helper()
	stats, err := b.Server.Stats()
	require.NoError(b.t, err)
	count := map[string]int{}
	for _, n := range stats.Sessions {
		if n.Server.Events > 0 {
			count[n.Carrier]++
		}
	}
	return count
}

// One worker serves one entity over the socket and the others over the rings,
// and goes on with that when the config changes.
func TestCarrierOfAnEntity(t *testing.T) {
	b := start(t, func(o *testbed.Options) {
		handlerOf(t, o, "")
		o.Config = entities(map[string]object{"sock": {"carrier": "socket"}, "auto": {"carrier": "auto"}, "unmarked": nil})
	})
	for _, path := range []string{"/auto", "/unmarked"} {
		require.Equal(t, 200, b.status(path, "nothing"))
	}
	require.Equal(t, map[string]int{"ring": 1}, b.carriersNow())
	require.Equal(t, 200, b.status("/sock", "nothing"))
	require.Equal(t, map[string]int{"ring": 1, "socket": 1}, b.carriersNow())

	require.NoError(t, b.WriteConfig(entities(map[string]object{"sock": nil, "auto": {"carrier": "socket"}})))
	require.NoError(t, b.Host.Reload(b.ctx))
	b.eventually("the old worker is gone", func() bool {
		stats, err := b.Server.Stats()
		require.NoError(t, err)
		for _, n := range stats.Sessions {
			if n.Server.Events > 0 {
				return false
			}
		}
		return true
	})
	require.Equal(t, 200, b.status("/auto", "nothing"))
	require.Equal(t, map[string]int{"socket": 1}, b.carriersNow())
	require.Equal(t, 200, b.status("/sock", "nothing"))
	require.Equal(t, map[string]int{"ring": 1, "socket": 1}, b.carriersNow())
}

// The plugin's own config has no options in it, not even for a decoder that
// takes nothing else.
func TestPluginDoesNotSeeItsOptions(t *testing.T) {
	b := start(t, func(o *testbed.Options) {
		o.Config = entities(map[string]object{"a": {"timeout": 5}})
		o.Config["plugins"] = []string{"strict"}
		route := o.Config["routes"].([]interface{})[0].(object)
		route["plugins"] = []interface{}{object{"name": "strict", "config": object{"kongring": object{"timeout": 5}}}}
	})
	r, err := b.try("/a", nil)
	require.NoError(t, err)
	require.Equal(t, 200, r.status, r.body)
}

// Kong refuses options that make no sense when they are set.
func TestOptionsThatKongRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		options object
		says    string
	}{
		"policy":        {object{"failure_policy": "ajar"}, "config.kongring.failure_policy: expected one of: closed, open"},
		"policy's type": {object{"failure_policy": true}, "config.kongring.failure_policy: expected string"},
		"timeout":       {object{"timeout": 0}, "config.kongring.timeout: value should be between 0.001 and 600"},
		"milliseconds":  {object{"timeout": 5000}, "config.kongring.timeout: value should be between 0.001 and 600"},
		"carrier":       {object{"carrier": "pigeon"}, "config.kongring.carrier: expected one of: auto, ring, socket"},
		"unknown":       {object{"retries": 3}, "config.kongring.retries: unknown field"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			dir := shortDir(t)
			b, err := testbed.Start(ctx, testbed.Options{Build: build, Dir: dir, Config: entities(map[string]object{"a": tc.options})})
			if err == nil {
				_ = b.Stop(ctx)
			}
			require.ErrorContains(t, err, tc.says)
		})
	}
}

// Options that come past Kong's schema, or from a handler.lua that somebody
// wrote, are refused by the bridge.
func TestOptionsThatTheBridgeRefuses(t *testing.T) {
	b := start(t, func(o *testbed.Options) {
		schemaOf(t, o, `{ type = "record", fields = { { kongring = { type = "map" } } } }`)
		o.Config = entities(map[string]object{"a": {"timeout": "soon"}, "b": {"carrier": "pigeon"}, "c": {"failure_policy": "ajar"}, "ok": {"timeout": 5}})
	})
	for path, says := range map[string]string{
		"/a": `plugin probe: config.kongring: timeout is soon, wanted seconds, 0.001 to 600`,
		"/b": `plugin probe: config.kongring: carrier is pigeon, wanted "auto", "ring" or "socket"`,
		"/c": `plugin probe: config.kongring: failure_policy is ajar, wanted "closed" or "open"`,
	} {
		require.Equal(t, 500, b.status(path, "nothing"))
		b.logged(says)
	}
	require.Equal(t, 200, b.status("/ok", "nothing"))

	for more, says := range map[string]string{
		`timeout = 601`:             `kongring.handler: timeout is 601, wanted seconds`,
		`timeout = "1"`:             `kongring.handler: timeout is 1, wanted seconds`,
		`carrier = "pigeon"`:        `kongring.handler: carrier is pigeon`,
		`failure_policy = "closes"`: `kongring.handler: failure_policy is closes`,
	} {
		dir := shortDir(t)
		o := testbed.Options{Build: build, Dir: dir, Config: entities(map[string]object{"a": nil})}
		handlerOf(t, &o, more)
		b, err := testbed.Start(t.Context(), o)
		if err == nil {
			_ = b.Stop(t.Context())
		}
		require.ErrorContains(t, err, says)
	}
}
