package e2e_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/luabridge/testbed"
)

// Many requests wait for one start of an instance, and the garbage collector
// runs between its end and their turn. The session stands in for one with a
// server whose answer comes when all of them wait. What keeps the semaphore is
// another thing in compiled code, and what LuaJIT compiles differs from run to
// run: hence the rounds, and a fresh start of the compiler every few of them.
const startsWithGarbage = `
location = /starts {
    content_by_lua_block {
        local instances = require "kongring.instance"
        local waiters = 100
        local buffer = setmetatable({ len = 0 }, { __index = function()
            return function() end
        end })
        for round = 1, 50 do
            if round % 5 == 0 then
                jit.flush()
            end
            local asked, answered = 0, 0
            local slot = { code = 0, arg = round }
            local session = { max_message = 1000 }
            function session:acquire() return slot, 1 end
            function session:begin() return buffer end
            function session:send() return true end
            function session:release() end
            function session:hold() end
            function session:await()
                while asked <= waiters do
                    ngx.sleep(0.001)
                end
                return 1
            end
            local conf = { __plugin_id = "p" .. round }
            local deadline = ngx.now() + 2
            local function get()
                asked = asked + 1
                local id, err = instances.get(session, "probe", conf, deadline)
                if asked > waiters and id == round then
                    answered = answered + 1
                end
                return id, err
            end
            local threads = { ngx.thread.spawn(function()
                get()
                collectgarbage()
            end) }
            for i = 1, waiters do
                threads[i + 1] = ngx.thread.spawn(get)
            end
            for i = 1, #threads do
                assert(ngx.thread.wait(threads[i]))
            end
            if answered ~= waiters + 1 then
                ngx.say("round ", round, ": ", answered, " of ", waiters + 1,
                        " have the instance")
                return
            end
        end
        ngx.say("all")
    }
}`

func TestInstanceForManyAtOnce(t *testing.T) {
	b := start(t, func(o *testbed.Options) { o.Host.ExtraServer = startsWithGarbage })
	r, err := b.try("/starts", nil)
	require.NoError(t, err)
	require.Equal(t, "all\n", r.body)
}

// A request that starts an instance and is killed meanwhile does not keep those
// after it: once its time is over, the next one starts the instance itself.
const starterKilled = `
location = /killed {
    content_by_lua_block {
        local instances = require "kongring.instance"
        local buffer = setmetatable({ len = 0 }, { __index = function()
            return function() end
        end })
        local slot, asked = { code = 0, arg = 7 }, 0
        local session = { mark = {}, max_message = 1000 }
        function session:acquire() return slot, 1 end
        function session:begin() return buffer end
        function session:send() return true end
        function session:release() end
        function session:hold() end
        function session:await()
            asked = asked + 1
            if asked == 1 then
                ngx.sleep(60)
            end
            return 1
        end
        local conf = { __plugin_id = "p" }
        local deadline = ngx.now() + 0.05
        local starter = ngx.thread.spawn(instances.get, session, "probe", conf, deadline)
        assert(ngx.thread.kill(starter))
        local early, why = instances.get(session, "probe", conf, ngx.now())
        while ngx.now() <= deadline do
            ngx.sleep(0.001)
        end
        ngx.say(early, " ", why, " ",
                (instances.get(session, "probe", conf, ngx.now() + 5)))
    }
}`

func TestStarterThatWasKilled(t *testing.T) {
	b := start(t, func(o *testbed.Options) { o.Host.ExtraServer = starterKilled })
	r, err := b.try("/killed", nil)
	require.NoError(t, err)
	require.Equal(t, "nil timeout 7\n", r.body)
}

// A server that never knows the instance is asked once more with a new one, and
// no more.
func TestInstanceThatNobodyKnows(t *testing.T) {
	b := start(t, func(o *testbed.Options) {
		patched(t, o, "event.lua", "TYPE_EVENT, phase, id)", "TYPE_EVENT, phase, id + 1000)")
	})
	b.eventually("a session", func() bool {
		stats, err := b.Server.Stats()
		return err == nil && len(stats.Sessions) == 1
	})
	const requests = 5
	for range requests {
		r, err := b.try("/none", nil) // the global plugin early alone
		require.NoError(t, err)
		require.Equal(t, 500, r.status, r.body)
	}
	b.logged("plugin early, instance .*, phase rewrite: failed: no instance 100.*")
	stats, err := b.Server.Stats()
	require.NoError(t, err)
	require.EqualValues(t, 2*requests, stats.Sessions[0].Bridge.Events)
}
