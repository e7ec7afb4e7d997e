package e2e_test

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/luabridge/testbed"
)

// logAlone makes the plugin probe one of the log phase alone.
func logAlone(t *testing.T, o *testbed.Options, more string) {
	delete(o.Config, "global_plugins")
	handlerIn(t, o, "log", more)
}

// count gives how often a pattern stands in nginx's error log.
func (b *bed) count(pattern string) int {
	b.t.Helper()
	text, err := b.Host.ErrorLog()
	require.NoError(b.t, err)
	return len(regexp.MustCompile(pattern).FindAllString(text, -1))
}

// request is a request whose log event is asked for a deed.
func (b *bed) request(deed string) {
	b.t.Helper()
	r, err := b.try("/direct/what?a=1", nil, "x-log", deed)
	require.NoError(b.t, err)
	require.Equal(b.t, 200, r.status, r.body)
}

// quiet waits for the ends of all events, and checks that both sides count the
// same.
func (b *bed) quiet() {
	b.t.Helper()
	b.eventually("every event has its end, on both sides", func() bool {
		stats, err := b.Server.Stats()
		require.NoError(b.t, err)
		for _, n := range stats.Sessions {
			if n.UnderWay != 0 || n.Bridge.Open != 0 || n.Bridge.Events != n.Bridge.EventsDone ||
				float64(n.Server.Events) != n.Bridge.Events || n.Server.Events != n.Server.EventsDone {
				return false
			}
		}
		return true
	})
}

// What a handler of the log phase is known to ask for comes along with the
// event, without a round trip; so does what it is then told.
func TestLogEventWithoutRoundTrips(t *testing.T) {
	for _, c := range []string{"", "socket"} {
		t.Run("carrier "+c, func(t *testing.T) {
			carrier = c
			defer func() { carrier = "" }()
			b := start(t, func(o *testbed.Options) { logAlone(t, o, "") })
			const learning, more = 40, 100
			for range learning {
				b.request("")
			}
			b.eventually("they are over", func() bool { return b.count(`log phase: /direct/what 200`) == learning })
			b.quiet()
			before, err := b.Server.Stats()
			require.NoError(t, err)
			for range more {
				b.request("")
			}
			b.eventually("they are over", func() bool { return b.count(`log phase: /direct/what 200`) == learning+more })
			b.quiet()
			after, err := b.Server.Stats()
			require.NoError(t, err)
			require.Equal(t, before.Sessions[0].Server.RoundTrips, after.Sessions[0].Server.RoundTrips)
			require.Equal(t, before.Sessions[0].Server.PrefetchHits+3*more, after.Sessions[0].Server.PrefetchHits)
			require.Zero(t, b.count(`\[error\]`))
		})
	}
}

// A method that waits in Lua keeps no other event up.
func TestLogEventThatWaits(t *testing.T) {
	t.Setenv("LOG_SECRET", "hush")
	b := start(t, func(o *testbed.Options) {
		logAlone(t, o, "")
		o.Host.ExtraInitWorker = `
local get = kong.vault.get
kong.vault.get = function(...)
  ngx.log(ngx.NOTICE, "waits in ", ngx.get_phase())
  repeat
    ngx.sleep(0.01)
  until WAIT_IS_OVER
  return get(...)
end`
		o.Host.ExtraServer = `location /over { content_by_lua_block { WAIT_IS_OVER = true } }`
	})
	b.request("") // starts the instance
	b.logged(`log phase: /direct/what 200`)
	const n = 20
	for range n {
		b.request("wait")
	}
	b.eventually("they wait", func() bool { return b.count(`waits in timer`) == n })
	for range n {
		b.request("quiet")
	}
	b.eventually("the others are over", func() bool { return b.count(`\[probe\] log phase: /direct/what 200`) == n+1 })
	require.Equal(t, n, b.count(`\[probe\] log phase: before the wait`))
	require.Zero(t, b.count(`the secret is`))
	_, err := b.try("/over", nil)
	require.NoError(t, err)
	b.eventually("all are over", func() bool { return b.count(`\[probe\] log phase: /direct/what 200`) == 2*n+1 })
	require.Equal(t, n, b.count(`\[probe\] log phase: the secret is hush`))
	b.quiet()
}

// Requests that wait for the server read the messages of log events as well, and
// leave them alone: each is dealt with in a timer, on its own request's data.
func TestLogEventsBesideRequests(t *testing.T) {
	b := start(t, func(o *testbed.Options) {
		// Requests look into the ring before they wait, so that they often find
		// what is for others.
		patched(t, o, "session_wait.lua", "if slot.type or self.closed then", "if true then")
	})
	const connections, requests = 8, 50
	var wg sync.WaitGroup
	failed := make([]error, connections)
	for c := range connections {
		wg.Go(func() {
			for i := 0; i < requests && failed[c] == nil; i++ {
				_, failed[c] = b.try(fmt.Sprintf("/direct/%d/%d", c, i), nil, "x-do", "mix", "x-log", "quiet")
			}
		})
	}
	wg.Wait()
	require.Empty(t, slices.DeleteFunc(failed, func(err error) bool { return err == nil }))
	b.eventually("all are over", func() bool { return b.count(`log phase: /direct/`) == connections*requests })
	for c := range connections {
		for i := range requests {
			require.Equal(t, 1, b.count(fmt.Sprintf(`log phase: /direct/%d/%d 200, .*context: ngx\.timer`, c, i)), "%d/%d", c, i)
		}
	}
	b.quiet()
}

// A message that is longer than a frame, and one for which there is no room.
func TestLongMessagesInTheLogPhase(t *testing.T) {
	b := start(t, func(o *testbed.Options) {
		logAlone(t, o, "")
		o.Args = []string{"-ring", "1024"}
	})
	const n = 20
	for range n {
		b.request("long")
	}
	b.eventually("they are over", func() bool { return b.count(`log phase: long: 1048576`) == n })
	b.quiet()
}

// The ring is full while the server stands still: no request waits for that, and
// no event is lost.
func TestLogEventsForAServerThatStandsStill(t *testing.T) {
	b := start(t, func(o *testbed.Options) {
		logAlone(t, o, "")
		o.Args = []string{"-ring", "1024"}
	})
	b.request("")
	b.logged(`log phase: /direct/what 200`)
	b.signal(syscall.SIGSTOP)
	const n = 700 // more than may be posted
	for range n {
		b.request("")
	}
	b.signal(syscall.SIGCONT)
	b.eventually("they are over", func() bool { return b.count(`log phase: /direct/what 200`) == n+1 })
	b.quiet()
	b.unharmed()
}

// What has no place is dropped, and the log says how much.
func TestLogEventsBeyondTheLimit(t *testing.T) {
	b := start(t, func(o *testbed.Options) {
		patched(t, o, "log_phase.lua", "MAX_WAITING = 4096", "MAX_WAITING = 100")
		logAlone(t, o, "")
	})
	b.request("")
	b.logged(`log phase: /direct/what 200`)
	b.signal(syscall.SIGSTOP)
	const n = 1500
	for range n {
		b.request("")
	}
	b.signal(syscall.SIGCONT)
	line := b.logged(`\[kongring\] (\d+) log events were dropped`)
	dropped, err := strconv.Atoi(strings.Fields(strings.TrimPrefix(line, "[kongring] "))[0])
	require.NoError(t, err)
	b.eventually("the others are over", func() bool { return b.count(`log phase: /direct/what 200`) == n+1-dropped })
	require.Equal(t, 1, b.count(`log events are dropped: 100 wait`))
	require.Less(t, dropped, n)
	b.quiet()
}

// What goes wrong in a handler of the log phase stands in the log, with the
// plugin's name, and harms no other event.
func TestLogEventThatFails(t *testing.T) {
	b := start(t, func(o *testbed.Options) { logAlone(t, o, "") })
	b.request("") // starts the instance
	b.logged(`log phase: /direct/what 200`)
	for deed, line := range map[string]string{
		"panic:late":   `\[probe\] plugin probe, instance .*, phase log: failed: boom late`,
		"get-var:host": `\[probe\] plugin probe, instance .*, phase log: kong.nginx.get_var: .*not available in the log phase`,
		"set-header":   `\[probe\] plugin probe, instance .*, phase log: kong.response.set_header: .*not available in the log phase`,
	} {
		b.request(deed)
		b.logged(line)
	}
	b.request("")
	b.eventually("the next one is over", func() bool { return b.count(`log phase: /direct/what 200`) == 2 })
	b.unharmed()
	b.quiet()
}

// Nobody waits for a posted event, and yet it ends when its time is over.
func TestLogEventThatIsLate(t *testing.T) {
	for _, c := range []string{"", "socket"} {
		t.Run("carrier "+c, func(t *testing.T) {
			carrier = c
			defer func() { carrier = "" }()
			b := start(t, func(o *testbed.Options) { logAlone(t, o, "timeout = 1") })
			b.request("")
			b.logged(`log phase: /direct/what 200`)
			b.request("until-cancelled")
			b.logged(`\[probe\] plugin probe, instance .*, phase log: timeout: no answer in time`)
			b.logged(`probe: the log event was cancelled: .*the event's time is over|probe: the log event was cancelled: .*gave it up`)
			b.unharmed()
			b.quiet()
		})
	}
}

// A worker that leaves takes its log events to their end.
func TestLogEventsWhileTheWorkerLeaves(t *testing.T) {
	for _, c := range []string{"", "socket"} {
		t.Run("carrier "+c, func(t *testing.T) {
			carrier = c
			defer func() { carrier = "" }()
			b := start(t, func(o *testbed.Options) { logAlone(t, o, "") })
			b.request("")
			b.logged(`log phase: /direct/what 200`)
			old, err := b.Host.Workers()
			require.NoError(t, err)
			const n = 5
			for range n {
				b.request("sleep:500ms")
			}
			b.eventually("they are under way", func() bool { return strings.Count(b.Server.Log(), "probe: sleeps") == n })
			b.Client.CloseIdleConnections()
			require.NoError(t, b.Host.Reload(b.ctx))
			b.eventually("they are over", func() bool {
				return b.count(fmt.Sprintf(`%d.*\[probe\] log phase: /direct/what 200`, old[0])) == n+1
			})
			b.eventually("the old worker is gone", func() bool { return syscall.Kill(old[0], 0) != nil })
		})
	}
}

// A server that stops takes the log events that it has to their end, and one
// that dies fails them.
func TestLogEventsOfAServerThatGoes(t *testing.T) {
	b := start(t, func(o *testbed.Options) { logAlone(t, o, "") })
	b.request("")
	b.logged(`log phase: /direct/what 200`)
	b.request("sleep:300ms")
	b.logged("probe: sleeps")
	require.NoError(t, b.Server.Stop(b.ctx))
	b.eventually("it is over", func() bool { return b.count(`log phase: /direct/what 200`) == 2 })

	require.NoError(t, b.StartServer(b.ctx))
	b.eventually("the server answers", func() bool {
		b.request("")
		return b.count(`log phase: /direct/what 200`) > 2
	})
	b.request("until-cancelled")
	b.eventually("it is under way", func() bool {
		stats, err := b.Server.Stats()
		require.NoError(t, err)
		return len(stats.Sessions) == 1 && stats.Sessions[0].UnderWay == 1
	})
	b.Server.Kill()
	b.logged(`\[probe\] plugin probe, instance .*, phase log: unavailable: the plugin server went away`)
}
