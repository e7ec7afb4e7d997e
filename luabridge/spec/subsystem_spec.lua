-- What the bridge does otherwise in nginx's stream subsystem, with stand-ins
-- for nginx and Kong. Run by ring_test.go; prints a line "ok NAME" or
-- "not ok NAME: why" each.


local cases = require "spec.cases"


local case = cases.case
local equal = cases.equal


local function nothing() end


-- What nginx has there: nothing of requests. Whatever the bridge looks up while
-- it loads and does not find is an error.
local function strict(name, t)
  return setmetatable(t, {
    __index = function(_, key)
      error(name .. "." .. tostring(key) .. ": not in stream", 2)
    end,
  })
end


local connection = { KONG_PHASE = 0x2000, own = "kept" }


ngx = strict("ngx", { -- luacheck: globals ngx
  config = strict("ngx.config", { subsystem = "stream" }),
  worker = strict("ngx.worker", { exiting = nothing, id = nothing,
                                  pid = nothing }),
  thread = strict("ngx.thread", { spawn = nothing, kill = nothing,
                                  wait = nothing }),
  timer = strict("ngx.timer", { at = nothing }),
  req = strict("ngx.req", { start_time = function() return 7.5 end }),
  ctx = connection,
  status = 200,
  decode_args = false,
  sleep = nothing,
  now = nothing,
  log = nothing,
  update_time = nothing,
  EMERG = 1, ALERT = 2, CRIT = 3, ERR = 4, WARN = 5, NOTICE = 6, INFO = 7,
  DEBUG = 8,
})

package.loaded["ngx.semaphore"] = { new = nothing }
package.loaded["ngx.errlog"] = {}
package.loaded["table.clone"] = function(t)
  local copy = {}
  for k, v in pairs(t) do
    copy[k] = v
  end
  return copy
end



case("the clock is that of nginx's module for stream", function()
  local ok, err = pcall(require("kongring.sys").now)
  equal(false, ok)
  -- outside of nginx there is none, and LuaJIT says what it looked for
  assert(err:find("ngx_stream_lua_ffi_now", 1, true), err)
  require("kongring.sys").now = function() return 0 end
end)


case("a handler loads and starts", function()
  package.loaded["kongring.helper"] = {
    C = { kongring_ticks = function() return 0 end },
  }
  local o = {
    name = "p", version = "1", priority = 1, socket = "/s",
    phases = { "preread", "certificate", "log" },
  }
  local handler = require("kongring.handler").new(o)
  equal("function", type(handler.preread))
  equal("function", type(handler.log))
end)


case("a failed event gives a status that connections have", function()
  local statuses = {}
  kong = {
    log = { err = nothing },
    response = { exit = function(status)
      statuses[#statuses + 1] = status
    end },
  }
  local event = require "kongring.event"
  local run = event.run
  local handler = require "kongring.handler"
  for _, kind in ipairs({ event.UNAVAILABLE, event.TIMEOUT, event.FAILED }) do
    event.run = function() return false, kind, "why" end
    package.loaded["kongring.handler"] = nil
    local h = require("kongring.handler").new {
      name = "p", version = "1", priority = 1, socket = "/s",
      phases = { "preread" },
    }
    h.init_worker = nothing
    h:preread({})
  end
  event.run, package.loaded["kongring.handler"] = run, handler
  equal("503 503 500", table.concat(statuses, " "))
end)


case("the log phase keeps what a connection has", function()
  kong = {
    ctx = { shared = { a = 1 }, plugin = { b = 2 } },
    log = { serialize = function() return { session = {} } end },
    client = strict("kong.client", {
      get_ip = function() return "192.0.2.1" end,
      get_forwarded_ip = function() return "192.0.2.2" end,
      get_port = function() return 1 end,
      get_forwarded_port = function() return 2 end,
      get_protocol = function() return "tcp" end,
      tls = false,
    }),
    request = strict("kong.request", {
      get_port = function() return 9000 end,
      get_start_time = function() return 7500 end,
    }),
    response = strict("kong.response", {
      get_source = function() return "exit" end,
    }),
  }
  local o, conf = {}, {}
  local s = require("kongring.saved").capture(o, conf)
  equal(o, s.handler, "handler")
  equal(conf, s.conf, "conf")
  equal("192.0.2.1", s.client_ip, "client_ip")
  equal("192.0.2.2", s.forwarded_ip, "forwarded_ip")
  equal("tcp", s.protocol, "protocol")
  equal(200, s.status, "status")
  equal(9000, s.port, "port")
  equal(7500, s.start_time_ms, "start_time_ms")
  equal("kept", s.ngx_ctx.own, "ngx_ctx")
  equal(true, s.ngx_ctx ~= connection, "a clone")
  equal(1, s.shared.a, "shared")
  equal(nil, s.chain, "chain")
  equal(nil, s.request_headers["host"], "a header")
end)


cases.finish()
