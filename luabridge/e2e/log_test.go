package e2e_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/luabridge/testbed"
)

// the name by which the lines of these tests know the instance
func named(o *testbed.Options, name string) {
	conf := []interface{}{object{"name": "probe", "instance_name": name}}
	o.Config = testbed.Config{"plugins": []string{"probe"}, "routes": []interface{}{
		object{"name": "d", "paths": []string{"/direct"}, "plugins": conf},
	}}
}

// Each level of a plugin's log is nginx's of the same name, during the request
// and after it.
func TestLevels(t *testing.T) {
	b := start(t, func(o *testbed.Options) {
		named(o, "one")
		o.Host.LogLevel = "debug"
	})
	r, err := b.try("/direct", nil, "x-do", "levels:access", "x-log", "levels:log")
	require.NoError(t, err)
	require.Equal(t, 200, r.status)
	for _, level := range []string{"emerg", "alert", "crit", "error", "warn", "notice", "info", "debug"} {
		for _, phase := range []string{"access", "log"} {
			b.logged(fmt.Sprintf(`\[%s\] .*\[probe\] at %s in %s\b`, level, level, phase))
		}
	}
}

// What goes wrong is at level error in Kong's log, with the whole stack, the
// plugin, its instance and the phase, and with the request's id also when nginx
// does not add it. The server's own line has the same name of the event.
func TestLinesOfAPanic(t *testing.T) {
	b := start(t, func(o *testbed.Options) { named(o, "my instance") })
	r, err := b.try("/direct", nil, "x-do", "deep", "x-log", "deep")
	require.NoError(t, err)
	require.Equal(t, 500, r.status)
	for phase, rest := range map[string]struct{ method, end, found string }{
		"access": {"Access", "", "route=d request_id=[0-9a-f]{32} "},
		"log":    {"Log", `, request_id: "[0-9a-f]{32}"`, "route=d "}, // the variables are gone
	} {
		about := `\[error\] .*\[probe\] plugin probe, instance my instance, phase ` + phase + `: failed: `
		b.logged(about + `boom far down \[event 1\.\d+\.\d+\]\n`)
		more := `plugin probe, instance my instance, phase ` + phase + `: failed: \(goes on\) `
		b.logged(`(?s)` + about + `boom.*` + more + `.*main\.\(\*probe\)\.` + rest.method + `\(.*` + rest.end)
		b.logged(`handler panicked.*plugin=probe entity=[0-9a-f-]{36} event=1\.\d+\.\d+ phase=` + phase +
			` ` + rest.found + `panic="boom far down" stack="goroutine `)
	}
}

// A line that a plugin writes when the request is over has the request's id.
func TestRequestIDOfLateLines(t *testing.T) {
	b := start(t, nil)
	r, err := b.try("/probe/what", nil)
	require.NoError(t, err)
	require.Equal(t, 200, r.status)
	b.logged(`\[probe\] log phase: /probe/what 200, request_id: "[0-9a-f]{32}"`)
}

// What Kong refuses names the instance too.
func TestLinesOfARefusedCall(t *testing.T) {
	b := start(t, func(o *testbed.Options) { named(o, "my instance") })
	require.Equal(t, 500, b.do("forbidden").status)
	b.logged(`\[error\] .*plugin probe: kong.response.get_status: .* \(instance my instance\)`)
}
