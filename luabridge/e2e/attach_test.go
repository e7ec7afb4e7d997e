package e2e_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/luabridge/testbed"
)

// A request waits for an attachment that does not come. The bridge's clock
// comes to less than a millisecond before the end of the wait, which is no time
// for a semaphore to wait, and stays there until nginx's loop goes on.
const lastMillisecond = `
location = /wait {
    content_by_lua_block {
        local sys = require "kongring.sys"
        local name = "kongring.bridge"
        local other, now = package.loaded[name], sys.now
        local base = now()
        local first = true
        package.loaded[name] = nil
        function sys.now()
            if first then
                first = false
                return base
            end
            return base + (now() == base and 0.9996 or 2)
        end
        local ok, bridges = pcall(require, name)
        package.loaded[name], sys.now = other, now
        assert(ok, bridges)

        local bridge = bridges.start("/no/socket", "ring")
        local waiting = setmetatable({
            attaching = true, running = {}, waiters = 0,
            sema = require("ngx.semaphore").new(),
        }, getmetatable(bridge))
        ngx.sleep(0.01)
        base, first = now(), true
        local session, err = waiting:get()
        ngx.say(session, " ", err)
    }
}`

func TestWaitForAttachmentEnds(t *testing.T) {
	b := start(t, func(o *testbed.Options) { o.Host.ExtraServer = lastMillisecond })
	r, err := b.try("/wait", nil)
	require.NoError(t, err)
	require.Equal(t, "nil the plugin server is not attached\n", r.body)
}

// A control plane loads the handler, and looks for no server.
func TestControlPlane(t *testing.T) {
	b := start(t, func(o *testbed.Options) {
		dir := filepath.Join(o.Dir, "front", "kong", "plugins", "probe")
		require.NoError(t, os.MkdirAll(dir, 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "handler.lua"), []byte(`
			kong.configuration = { role = "data_plane" }
			local handler = require("kongring.handler").new {
				name = "probe", version = "0.1", priority = 30, phases = { "access" }, socket = "/no/server",
			}
			for _, name in ipairs({ "init_worker", "configure" }) do
				local method = handler[name]
				handler[name] = function(...) -- not for the plugin early
					kong.configuration.role = "control_plane"
					method(...)
					kong.configuration.role = "data_plane"
				end
			end
			return handler`), 0o644))
		o.Host.LuaPath = []string{filepath.Join(o.Dir, "front")}
	})
	b.workers(1)
	log, err := b.Host.ErrorLog()
	require.NoError(t, err)
	require.NotContains(t, log, "/no/server")
	require.Equal(t, 503, b.do("nothing").status)
	b.logged("/no/server")
}
