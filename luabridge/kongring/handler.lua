--- What Kong loads as the handler of a Go plugin.
--
-- Purpose: the whole of a plugin's handler.lua is
--
--     return require("kongring.handler").new {
--       name = "my-plugin", version = "0.1", priority = 1000,
--       phases = { "access" }, socket = "/usr/local/kong/my-plugin.socket",
--     }
--
-- Called by: Kong's plugin loader and, for each phase, its runloop.
--
-- @module kongring.handler


local bridge = require "kongring.bridge"
local event = require "kongring.event"
local layout = require "kongring.layout"
local log_phase = require "kongring.log_phase"
local options = require "kongring.options"
local pdk = require "kongring.pdk"
local report = require "kongring.report"


local error = error
local ipairs = ipairs
local run = event.run
local tostring = tostring
local type = type


-- What the client is told, by kind of failure. The reason is for the log: it
-- may name files and values.
local ANSWERS = {
  [event.UNAVAILABLE] = { 503, "The plugin server is not available" },
  [event.TIMEOUT] = { 504, "The plugin did not answer in time" },
  [event.FAILED] = { 500, "An unexpected error occurred" },
}
if ngx.config.subsystem == "stream" then
  ANSWERS[event.TIMEOUT][1] = 503 -- 504 is no status of a connection
end


local _M = {}


-- Writes a line of a plugin, which reads
--
--     [kong] handler.lua:52 [my-plugin] what the plugin says
--
-- as one of a plugin in Lua: Kong looks who called kong.log. So this is no tail
-- call, and no pcall.
local function write_line(log, level, ...)
  log[level](...)
end
pdk.lines_by(write_line)


-- Says in the log what happened, and ends the request unless it may pass.
-- During a handshake there is nobody to answer: an error ends it.
local function fail(o, conf, phase, failure, text)
  local open = o.of[conf].open and failure == event.UNAVAILABLE
  local head = "plugin " .. o.name .. ", instance " ..
               report.instance(conf) .. ", phase " .. phase .. ": " ..
               failure .. ": "
  if phase == "certificate" and not open then
    error(head .. tostring(text), 0)
  end
  report.write(kong.log.err, head, text,
               open and " (failure_policy open: the request goes on)" or "")
  if not open then
    local answer = ANSWERS[failure]
    return kong.response.exit(answer[1], { message = answer[2] })
  end
end


local function phase_method(o, phase)
  local name, of, number = o.name, o.of, layout.PHASE[phase]
  return function(_, conf)
    local e = of[conf]
    local ok, failure, text = run(e.bridge, name, number, conf, e.timeout)
    if not ok then
      return fail(o, conf, phase, failure, text)
    end
  end
end


local function check(o)
  for k, want in pairs({ name = "string", version = "string",
                         priority = "number", phases = "table",
                         socket = "string" }) do
    if type(o[k]) ~= want then
      error("kongring.handler: " .. k .. " is a " .. type(o[k]) ..
            ", wanted a " .. want, 3)
    end
  end
  for _, phase in ipairs(o.phases) do
    if not layout.PHASE[phase] then
      error("kongring.handler: unknown phase " .. tostring(phase), 3)
    end
  end
end


-- Kong calls init_worker and configure on a control plane too, which has no
-- requests, and no plugin server.
local function has_requests()
  return kong.configuration.role ~= "control_plane"
end


--- Makes a handler.
-- @phases init
-- @tparam table o `name`, `version`, `priority` and `phases` of the plugin,
-- `socket` of its server; optional, and for entities that do not say otherwise
-- (see `kongring.options`): `timeout` in seconds for one event (60),
-- `failure_policy` "closed" (503 while the server is out of reach) or "open"
-- (the request goes on without the plugin), `carrier` "ring", "socket" or
-- "auto", which is the rings, and the socket where shared memory is refused
-- (the environment variable KONGRING_CARRIER where it is set, else "auto")
-- @treturn table the handler
function _M.new(o)
  check(o)
  local wrong = options.complete(o)
  if wrong then
    error("kongring.handler: " .. wrong, 2)
  end

  local handler = { PRIORITY = o.priority, VERSION = o.version }
  for _, phase in ipairs(o.phases) do
    handler[phase] = phase == "log" and log_phase.method(o) or
                     phase_method(o, phase)
  end

  --- Attaches the worker before its first request.
  function handler.init_worker()
    if has_requests() then
      bridge.start(o.socket, o.carrier)
    end
  end

  --- Attaches it by the carriers that entities want as well. Kong calls this
  -- with their configs at each change.
  function handler.configure(_, configs)
    for _, conf in ipairs(has_requests() and configs or {}) do
      local _ = o.of[conf]
    end
  end
  return handler
end


return _M
