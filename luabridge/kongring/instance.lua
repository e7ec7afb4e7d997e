--- Plugin instances of this worker.
--
-- Purpose: starts the instance of a plugin entity's config in the plugin
-- server, once per session, and remembers its number by the config table
-- itself, which Kong makes anew whenever the entity changes. Requests that
-- need an instance that is being started wait for it and wake at once.
--
-- Called by: event.lua. Phases: those that may yield.
--
-- @module kongring.instance


local cjson = require "cjson.safe"
local layout = require "kongring.layout"
local semaphore = require "ngx.semaphore"


local setmetatable = setmetatable
local STATUS_OK = layout.STATUS_OK


-- config table → entry; an entry goes with its config
local entries = setmetatable({}, { __mode = "k" })

-- plugin and entity → the entry of its newest config, to close the older one
local newest = {}


local _M = {}


local function key_of(plugin, conf)
  return plugin .. "\0" .. (conf.__plugin_id or conf.__key__ or "")
end


-- lets the server forget the instance of an older config
local function close(session, entry)
  if entry.session ~= session or not entry.id then
    return
  end
  local slot = session:acquire(layout.TYPE_EVENT, ngx.now() + 1)
  if slot then
    session:begin(slot, layout.TYPE_CLOSE, 0, entry.id)
    session:send(slot)
    session:release(slot)
  end
  entry.id = nil
end


-- what the server said of a start: its number, or nil, text and status
local function read_started(session, slot)
  if slot.code == STATUS_OK then
    return slot.arg
  end
  local r = session.reader
  r:set(slot.body, slot.body_len)
  return nil, r:read_str() or "the instance did not start", slot.code
end


local function request_start(session, plugin, conf, deadline)
  local config, err = cjson.encode(conf)
  if not config then
    return nil, "failed to encode the config: " .. err
  end
  local slot
  slot, err = session:acquire(layout.TYPE_START, deadline)
  if not slot then
    return nil, err
  end
  local b = session:begin(slot, layout.TYPE_START, 0, 0)
  b:put_array(4)
  b:put_str(plugin)
  b:put_str(conf.__plugin_id or conf.__key__ or "")
  b:put_number(tonumber(conf.__seq__) or 0)
  b:put_bin(config)
  local ok, id, status
  ok, err = session:send(slot)
  if ok then
    ok, err = session:await(slot, true)
  end
  if ok then
    id, err, status = read_started(session, slot)
  end
  session:release(slot)
  return id, err, status
end


local function start(session, plugin, conf, entry, deadline)
  entry.session, entry.id = session, nil
  entry.starting = semaphore.new()
  local id, err, status = request_start(session, plugin, conf, deadline)
  local sema, waiting = entry.starting, entry.waiting
  entry.id, entry.err, entry.status = id, err, status
  entry.starting, entry.waiting = nil, 0
  if waiting > 0 then
    sema:post(waiting)
  end

  if id then
    local key = key_of(plugin, conf)
    local older = newest[key]
    if older ~= entry and
       (not older or (older.seq or 0) <= (entry.seq or 0)) then
      newest[key] = entry
      if older then
        close(session, older)
      end
    end
  end
  return id, err, status
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
    if entry.session == session and entry.starting then
      entry.waiting = entry.waiting + 1
      if not entry.starting:wait(deadline - ngx.now()) then
        return nil, "timeout"
      end
      return entry.id, entry.err, entry.status
    end
  else
    entry = { seq = tonumber(conf.__seq__), waiting = 0 }
    entries[conf] = entry
  end
  return start(session, plugin, conf, entry, deadline)
end


--- Forgets an instance that the server does not know.
-- @phases all
function _M.forget(conf)
  local entry = entries[conf]
  if entry and not entry.starting then
    entry.id = nil
  end
end


return _M
