package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/luabridge/host"
	"github.com/kongring/kongring/luabridge/testbed"
)

// nginxVariable names an nginx with the stream Lua module, such as OpenResty's.
// Debian's has none.
const nginxVariable = "KONGRING_STREAM_NGINX"

// streamBlock has a Lua VM of its own beside http's: the plugin flow runs in
// preread and log, and the upstream says "up".
const streamBlock = `
    init_by_lua_block {
        require "resty.core"
        stream_kong = require("stream_kong").new("flow", { file = %q, __plugin_id = "f", __seq__ = 1 })
    }
    init_worker_by_lua_block {
        stream_kong:init_worker()
    }
    server {
        listen %s;
        preread_by_lua_block {
            stream_kong:preread()
        }
        log_by_lua_block {
            stream_kong:log()
        }
        proxy_pass %s;
    }
`

// connections is a bed whose nginx has a port for connections, beside that of
// http: the plugin flow does with each what the last call of during says.
type connections struct {
	*bed
	file    string
	address string
}

func startStream(t *testing.T, change func(*testbed.Options)) *connections {
	t.Helper()
	up, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := up.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, "up")
			_ = conn.Close()
		}
	})
	t.Cleanup(func() { _ = up.Close(); serving.Wait() })
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, free.Close())

	c := &connections{address: free.Addr().String()}
	c.bed, err = tryStart(t, func(o *testbed.Options) {
		c.file = filepath.Join(o.Dir, "flow")
		c.during("nothing")
		o.Host.Nginx = os.Getenv(nginxVariable)
		o.Host.Stream = fmt.Sprintf(streamBlock, c.file, c.address, up.Addr())
		o.Config = testbed.Config{
			"plugins": []string{"probe"},
			"routes":  []interface{}{object{"name": "d", "paths": []string{"/direct"}, "plugins": []interface{}{object{"name": "probe"}}}},
		}
		if change != nil {
			change(o)
		}
		o.Host.LuaPath = append(o.Host.LuaPath, filepath.Join(build.Root, "luabridge", "e2e", "testdata", "lua"))
	})
	if errors.Is(err, host.ErrUnavailable) {
		t.Skipf("skipped: needs an nginx with the stream Lua module, by the variable %s: %v", nginxVariable, err)
	}
	require.NoError(t, err)
	c.eventually("a session for http, and one for stream", func() bool {
		stats, err := c.Server.Stats()
		require.NoError(t, err)
		return len(stats.Sessions) == 2
	})
	return c
}

// during says what happens to connections from now on.
func (c *connections) during(deed string) {
	if err := os.WriteFile(c.file, []byte(deed), 0o644); err != nil {
		panic(err)
	}
}

// talk makes a connection and gives what it is told.
func (c *connections) talk() (string, error) {
	ctx, cancel := context.WithTimeout(c.ctx, patience)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", c.address)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return "", err
	}
	text, err := io.ReadAll(conn)
	return string(text), err
}

// tells checks what a connection is told.
func (c *connections) tells(want string) {
	c.t.Helper()
	got, err := c.talk()
	require.NoError(c.t, err)
	require.Equal(c.t, want, got)
}

func TestPreread(t *testing.T) {
	c := startStream(t, nil)
	c.tells("up")
	c.logged(`\[flow\] flow: log phase: 127.0.0.1 200 nil 0 true true`)
	c.answers() // http, from the same process
	c.during("calls:50")
	c.tells("up")
	c.logged(`shake: made 50 calls`)
	c.logged(`\[flow\] flow: log phase: 127.0.0.1 200 49 0 true true`)
	c.during("who")
	c.tells("up")
	c.logged(`flow: who: 127.0.0.1 stream TCP nilnilnil`)

	stats, err := c.Server.Stats()
	require.NoError(t, err)
	require.Equal(t, stats.Sessions[0].PID, stats.Sessions[1].PID)
}

func TestPrereadEndsTheConnection(t *testing.T) {
	c := startStream(t, nil)
	for deed, want := range map[string]struct{ told, logged string }{
		"exit:200":   {"bye", `log phase: 127.0.0.1 200 `},
		"exit:403":   {"", `unable to proxy stream connection, status: 403, err: bye`},
		"exit:418":   {"", `plugin flow: kong.response.exit: unacceptable code, only 200, 400`},
		"panic:here": {"", `status: 500, err: An unexpected error occurred`},
		"path":       {"", `plugin flow: kong.request.get_path: .*function cannot be called in preread phase`},
	} {
		c.during(deed)
		c.tells(want.told)
		c.logged(want.logged)
		c.during("nothing")
		c.tells("up")
	}
}

func TestPrereadTakesTooLong(t *testing.T) {
	c := startStream(t, func(o *testbed.Options) { patched(t, o, "options.lua", "local TIMEOUT = 60", "local TIMEOUT = 0.3") })
	c.during("sleep:1h")
	c.tells("")
	c.logged(`plugin flow, instance .*, phase preread: timeout: no answer in time`)
	c.logged(`status: 503, err: The plugin did not answer in time`)
	c.logged("probe: the context was cancelled")
}

func TestPrereadWithoutServer(t *testing.T) {
	c := startStream(t, nil)
	c.during("sleep:1h")
	var wg sync.WaitGroup
	var told string
	wg.Go(func() { told, _ = c.talk() })
	c.logged("probe: sleeps")
	c.Server.Kill()
	wg.Wait()
	require.Empty(t, told)
	c.logged(`phase preread: unavailable: the plugin server went away`)
	c.during("nothing")
	require.NoError(t, c.StartServer(c.ctx))
	c.eventually("connections succeed", func() bool { told, _ := c.talk(); return told == "up" })
}

func TestManyConnections(t *testing.T) {
	c := startStream(t, nil)
	c.during("sleep:30ms")
	var wg sync.WaitGroup
	var told [60]string
	for i := range told {
		wg.Go(func() { told[i], _ = c.talk() })
	}
	gone, err := net.Dial("tcp", c.address) // a client that leaves
	require.NoError(t, err)
	c.logged("probe: sleeps")
	require.NoError(t, gone.Close())
	for range 30 {
		require.Equal(t, 200, c.do("sleep:1ms").status)
	}
	wg.Wait()
	for _, text := range told {
		require.Equal(t, "up", text)
	}
	c.eventually("every event has its end, on both sides", func() bool {
		stats, err := c.Server.Stats()
		require.NoError(t, err)
		for _, n := range stats.Sessions {
			if n.UnderWay != 0 || n.Bridge.Open != 0 || n.Bridge.Events != n.Bridge.EventsDone || n.Bridge.Events == 0 {
				return false
			}
		}
		return true
	})
}

// Old and new workers have two sessions each for a while.
func TestReloadWithConnections(t *testing.T) {
	c := startStream(t, nil)
	c.during("sleep:20ms")
	c.reloadUnder(func() error {
		told, err := c.talk()
		if err == nil && told != "up" {
			err = fmt.Errorf("told %q", told)
		}
		return err
	})
	c.eventually("the old worker leaves", func() bool {
		stats, err := c.Server.Stats()
		require.NoError(t, err)
		return len(stats.Sessions) == 2
	})
}

func TestPrereadOverTheSocket(t *testing.T) {
	for name, test := range map[string]func(*testing.T){
		"preread": TestPreread, "ends the connection": TestPrereadEndsTheConnection, "reload": TestReloadWithConnections,
	} {
		t.Run(name, func(t *testing.T) {
			overSocket(t)
			test(t)
		})
	}
}
