--- How the bridge runs a plugin entity: its own options, else the plugin's.
--
-- Purpose: the config of an entity may have a record `kongring` with
-- `failure_policy`, `timeout` (seconds) and `carrier`, which package
-- server/schema declares. What is not set there is as handler.lua says. An
-- entity that changes has another config table, so they are read once for each.
--
-- Called by: handler.lua, log_phase.lua, instance.lua. Phases: all but init,
-- where said.
--
-- @module kongring.options


local bridge = require "kongring.bridge"
local carrier = require "kongring.carrier"
local clone = require "table.clone"


local error = error
local setmetatable = setmetatable
local tostring = tostring
local type = type


-- seconds that an event may take unless somebody says otherwise, and the bounds
-- of what may be said; the Go package schema has the same
local TIMEOUT = 60
local MIN_TIMEOUT, MAX_TIMEOUT = 0.001, 600


-- the field of the config
local KEY = "kongring"


local _M = {}


-- What is wrong with options, nil when nothing is.
local function fault(o)
  if o.carrier ~= nil and not carrier.known(o.carrier) then
    return "carrier is " .. tostring(o.carrier) ..
           ', wanted "auto", "ring" or "socket"'
  end
  local policy = o.failure_policy
  if policy ~= nil and policy ~= "closed" and policy ~= "open" then
    return "failure_policy is " .. tostring(policy) ..
           ', wanted "closed" or "open"'
  end
  local t = o.timeout
  if t ~= nil and (type(t) ~= "number" or
                   not (t >= MIN_TIMEOUT and t <= MAX_TIMEOUT)) then
    return "timeout is " .. tostring(t) .. ", wanted seconds, " ..
           MIN_TIMEOUT .. " to " .. MAX_TIMEOUT
  end
end


-- an option of an entity; Kong has a userdata for what is not set
local function set(own, name)
  local value = type(own) == "table" and own[name]
  if value == nil or value == false or value == ngx.null then
    return nil
  end
  return value
end


-- what holds for an entity
local function resolve(o, conf)
  local record = conf[KEY]
  local own = {
    failure_policy = set(record, "failure_policy"),
    timeout = set(record, "timeout"),
    carrier = set(record, "carrier"),
  }
  local wrong = fault(own) -- Kong's schema lets nothing of it pass
  if wrong then
    error("plugin " .. o.name .. ": config." .. KEY .. ": " .. wrong, 0)
  end
  return {
    open = (own.failure_policy or o.failure_policy) == "open",
    timeout = own.timeout or o.timeout,
    bridge = bridge.start(o.socket, own.carrier or o.carrier),
  }
end


--- Completes the options of a plugin, and makes the table that gives those of
-- its entities.
-- @phases init
-- @tparam table o as in `kongring.handler.new`; gets `timeout`, `carrier` and
-- `of`, a table that gives by an entity's config `open` (a request goes on
-- without the plugin while the server is out of reach), `timeout` in seconds,
-- and `bridge`, which the first look starts. A look raises what is wrong with
-- the entity's options; it is for all phases but init.
-- @treturn string|nil what is wrong with the plugin's own
function _M.complete(o)
  local wrong = fault(o)
  o.carrier = o.carrier or os.getenv("KONGRING_CARRIER") or "auto"
  o.timeout = o.timeout or TIMEOUT
  o.of = setmetatable({}, {
    __mode = "k",
    __index = function(of, conf)
      local e = resolve(o, conf)
      of[conf] = e
      return e
    end,
  })
  return wrong or fault(o)
end


--- The plugin's own part of an entity's config.
-- @phases all
-- @tparam table conf as Kong gave it
-- @treturn table conf itself, or a copy
function _M.without(conf)
  if conf[KEY] == nil then
    return conf
  end
  local own = clone(conf)
  own[KEY] = nil
  return own
end


return _M
