--- The plugin calls in Go, reached the way a Kong without the bridge does.
--
-- Purpose: the stock way, beside the ring. An event that fails ends the
-- request with 500, other than in Kong: a run must not count it.
--
-- The environment variable KONGRING_BENCH_SOCKET has the path of the plugin
-- server's socket.
--
-- Called by: the host's run loop, and calls-loop. Phases: access.
--
-- @module kong.plugins.calls-stock.handler


local event = require "stock.event"
local instance = require "stock.instance"
local rpc = require "stock.rpc"


local getenv = os.getenv


local client, instances
local pid -- of the server


-- a server that was started again knows no instance
local function notify(label, value)
  if label == "serverPid" then
    if pid and pid ~= value then
      instances:forget()
    end
    pid = value
  end
end


return {
  PRIORITY = 10,
  VERSION = "0.1",

  access = function(_, conf)
    if not client then
      client = rpc.new(getenv("KONGRING_BENCH_SOCKET"), notify)
      instances = instance.new(client, "calls")
    end
    if not event.run(client, instances, conf, "access") then
      return kong.response.exit(500, "event failed")
    end
  end,
}
