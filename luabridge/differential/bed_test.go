package differential_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/luabridge/differential/program"
	"github.com/kongring/kongring/luabridge/testbed"
	"github.com/kongring/kongring/server/wire"
)

// patience bounds every wait.
const patience = 30 * time.Second

// saving is a set of the server's savings.
type saving struct {
	name                   string
	posted, memo, prefetch bool
}

// The first one is what the others are held against.
var savings = []saving{
	{name: "none"},
	{name: "posted writes", posted: true},
	{name: "memo", memo: true},
	{name: "prefetch", prefetch: true},
	{name: "all", posted: true, memo: true, prefetch: true},
}

func (s saving) flags() (flags []string) {
	if !s.posted {
		flags = append(flags, "-sync")
	}
	if !s.memo {
		flags = append(flags, "-no-memo")
	}
	if !s.prefetch {
		flags = append(flags, "-no-prefetch")
	}
	return flags
}

// bed is nginx with the plugins of subject, on one set of savings.
type bed struct {
	*testbed.Bed
	t        *testing.T
	ctx      context.Context
	saving   saving
	upstream *upstream
	records  string
}

type (
	object = map[string]interface{}
	list   = []interface{}
)

// config has a route for each shape: to a service or not, with the response
// phase or not.
func config(shapes int, upstream string) testbed.Config {
	var routes list
	for i := range shapes {
		plugin := "lean"
		route := object{
			"name": fmt.Sprint("s", i), "paths": list{fmt.Sprintf("/s%d/", i)},
			"strip_path": false, "preserve_host": i%4 == 1, "protocols": list{"http", "https"},
		}
		switch i % 3 {
		case 0:
			route["respond"] = object{"status": 200, "body": "direct", "content_type": "text/plain"}
		case 1:
			route["service"] = "up"
		case 2:
			route["service"], plugin = "up", "full"
		}
		route["plugins"] = list{
			object{"name": "who"}, object{"name": plugin, "config": object{"shape": i}},
		}
		routes = append(routes, route)
	}
	return testbed.Config{
		"plugins": list{"early", "who", "lean", "full"}, "trusted_ips": list{"127.0.0.0/8"},
		"services":       list{object{"name": "up", "url": upstream}},
		"global_plugins": list{object{"name": "early"}},
		"routes":         routes,
	}
}

// start puts a bed up, until the test ends or stop is called.
func start(t *testing.T, s saving, shapes int, up *upstream) *bed {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	dir, err := os.MkdirTemp("", "kd") // short: a socket lies in it
	require.NoError(t, err)
	b := &bed{t: t, ctx: ctx, saving: s, upstream: up, records: filepath.Join(dir, "records")}
	o := testbed.Options{
		Build: build, Dir: dir, Config: config(shapes, up.URL),
		Args: append(s.flags(), "-records", b.records),
	}
	o.Host.LogLevel = "info"
	o.Host.LuaPath = []string{filepath.Join(build.Root, "luabridge", "differential", "testdata")}
	b.Bed, err = testbed.Start(ctx, o)
	require.NoError(t, err)
	b.Client.Transport.(*http.Transport).DisableCompression = true
	b.Client.Timeout = 3 * time.Second
	t.Cleanup(func() {
		require.NoError(t, b.Stop(ctx))
		require.NoError(t, os.RemoveAll(dir))
		cancel()
	})
	return b
}

// counters gives the figures of the one session that there is.
func (b *bed) counters() wire.ServerCounters {
	b.t.Helper()
	stats, err := b.Server.Stats()
	require.NoError(b.t, err)
	require.Zero(b.t, stats.SessionsFailed, b.Server.Log())
	require.Len(b.t, stats.Sessions, 1)
	require.EqualValues(b.t, 1, stats.SessionsBegun, "nobody had to attach anew")
	return stats.Sessions[0].Server
}

// settle waits for the ends of all events, those of the log phase too.
func (b *bed) settle() {
	b.t.Helper()
	err := testbed.Eventually(b.ctx, patience, "every event ends", func() bool {
		stats, err := b.Server.Stats()
		require.NoError(b.t, err)
		for _, s := range stats.Sessions {
			if s.UnderWay != 0 || s.Server.Events != s.Server.EventsDone || s.Bridge.Events != s.Bridge.EventsDone {
				return false
			}
		}
		count := map[program.Phase]int{}
		for _, r := range b.readRecords() {
			count[r.Phase]++
		}
		return count[program.Access] == count[program.Log]
	})
	require.NoError(b.t, err, b.Server.Log())
}
