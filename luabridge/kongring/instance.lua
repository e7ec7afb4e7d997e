--- Plugin instances of this worker.
--
-- Purpose: starts the instance of a plugin entity's config in the plugin
-- server, once per session, and remembers its number by the config table
-- itself, which Kong makes anew whenever the entity changes. Requests that
-- need an instance that is being started wait for it and wake at once. When it
-- is closed, session_instances.lua says.
--
-- Called by: event.lua, log_phase.lua. Phases: those that may yield, where said
-- all.
--
-- @module kongring.instance


local cjson = require "cjson.safe"
local layout = require "kongring.layout"
local options = require "kongring.options"
local semaphore = require "ngx.semaphore"
local sys = require "kongring.sys"


local max = math.max
local now = sys.now
local pcall = pcall
local setmetatable = setmetatable
local tonumber = tonumber
local STATUS_OK = layout.STATUS_OK


-- config table → entry; an entry goes with its config
local entries = setmetatable({}, { __mode = "k" })


local _M = {}


local function key_of(plugin, conf)
  return plugin .. "\0" .. (conf.__plugin_id or conf.__key__ or "")
end


-- what the server said of a start: its number, or nil, text and status
local function read_started(slot)
  if slot.code == STATUS_OK then
    return slot.arg
  end
  return nil, slot.reader:read_str() or "the instance did not start", slot.code
end


local function request_start(session, plugin, conf, deadline)
  local config, err = cjson.encode(options.without(conf))
  if not config then
    return nil, "failed to encode the config: " .. err
  end
  local slot, generation = session:acquire(layout.TYPE_START, deadline)
  if not slot then
    return nil, generation
  end
  local b = session:begin(slot, layout.TYPE_START, 0, 0)
  b:put_array(4)
  b:put_str(plugin)
  b:put_str(conf.__plugin_id or conf.__key__ or "")
  b:put_number(tonumber(conf.__seq__) or 0)
  b:put_bin(config)
  if b.len > session.max_message then
    session:release(slot, generation)
    return nil, "config of " .. #config .. " bytes, the limit is " ..
                session.max_message, layout.STATUS_BAD_CONFIG
  end
  local ok, id, status
  ok, err = session:send(slot, generation)
  if ok then
    ok, err = session:await(slot, generation)
  end
  if ok then
    id, err, status = read_started(slot)
  end
  session:release(slot, generation)
  return id, err, status
end


local function start(session, plugin, conf, entry, deadline)
  local own = { sema = semaphore.new(), waiting = 0, deadline = deadline }
  entry.session, entry.id, entry.starting = session, nil, own
  local ok, id, err, status = pcall(request_start, session, plugin, conf,
                                    deadline)
  if not ok then
    id, err = nil, id
  end
  own.id, own.err, own.status = id, err, status
  if entry.starting == own then -- else somebody started anew meanwhile
    entry.id, entry.starting = id, nil
  end
  if own.waiting > 0 then
    own.sema:post(own.waiting)
  end
  if id then
    session:hold(id, conf, key_of(plugin, conf))
  end
  return id, err, status
end


-- Waits for a start that another request makes; gives what came of it. Looking
-- into the start after the wait is what keeps its semaphore from the garbage
-- collector, which would wake nobody. The frame of the wait itself does not:
-- LuaJIT leaves what nobody looks at any more out of a frame that it restores.
local function wait_for(other, deadline)
  other.waiting = other.waiting + 1
  if not other.sema:wait(max(deadline - now(), 0)) then
    return nil, "timeout"
  end
  return other.id, other.err, other.status
end


--- The number of the instance for a config, started where it has to be.
-- @phases those that may yield
-- @tparam table session
-- @tparam string plugin its name
-- @tparam table conf the config as Kong gave it
-- @tparam number deadline as `ngx.now` counts
-- @treturn number|nil the number
-- @treturn string|nil why there is none
-- @treturn number|nil the server's status, one of `layout.STATUS_*`; nil when
-- it did not answer
function _M.get(session, plugin, conf, deadline)
  local entry = entries[conf]
  if entry then
    if entry.session == session and entry.id then
      return entry.id
    end
    local other = entry.starting
    -- a starter that is over its deadline was killed
    if entry.session == session and other and now() < other.deadline then
      return wait_for(other, deadline)
    end
  else
    entry = {}
    entries[conf] = entry
  end
  return start(session, plugin, conf, entry, deadline)
end


--- The number of the instance for a config, if it was started.
-- @phases all
-- @tparam table session
-- @tparam table conf the config as Kong gave it
-- @treturn number|nil
function _M.known(session, conf)
  local entry = entries[conf]
  if entry and entry.session == session then
    return entry.id
  end
  return nil
end


--- Forgets an instance that the server does not know.
-- @phases all
-- @tparam table session
-- @tparam table conf the config as Kong gave it
-- @tparam number id as `get` gave it
function _M.forget(session, conf, id)
  session:let_go(id)
  local entry = entries[conf]
  if entry and entry.session == session and entry.id == id then
    entry.id = nil
  end
end


return _M
