--- One event: a phase of a request, run by a plugin in the plugin server.
--
-- Purpose: sends the EVENT, runs the PDK calls that come back, in this
-- coroutine, and ends with what the plugin decided.
--
--     Lua                                      Go
--     EVENT(instance, phase)              ──▶  the handler starts
--     runs the method                     ◀──  CALL(method, arguments)
--     RETURN(result)                      ──▶  the handler goes on
--     ends                                ◀──  DONE(status) or EXIT(arguments)
--
-- A method that raises ends the event on both sides first (CANCEL), and is
-- then raised again, so that Kong treats it as it treats a Lua plugin.
--
-- Called by: handler.lua. Phases: those that may yield.
--
-- @module kongring.event


local helper = require "kongring.helper"
local instances = require "kongring.instance"
local layout = require "kongring.layout"
local pdk = require "kongring.pdk"


local C = helper.C
local error = error
local now = ngx.now
local TYPE_EVENT = layout.TYPE_EVENT
local TYPE_CALL = layout.TYPE_CALL
local TYPE_RETURN = layout.TYPE_RETURN
local TYPE_EXIT = layout.TYPE_EXIT
local STATUS_OK = layout.STATUS_OK
local STATUS_NO_INSTANCE = layout.STATUS_NO_INSTANCE
local STATUS_SHUTDOWN = layout.STATUS_SHUTDOWN
local PHASE = layout.PHASE


local _M = {
  --- Kinds of failure, as `run` gives them.
  UNAVAILABLE = "unavailable", -- no server, or it went away meanwhile
  TIMEOUT = "timeout", -- the event's time is over
  FAILED = "failed", -- the plugin or its instance failed
}


-- ends the event on both sides and raises what a method raised
local function raise(session, slot, started, plugin, text)
  session:cancel(slot, layout.STATUS_LUA_ERROR, text)
  session:count_event(started, true)
  error("plugin " .. plugin .. ": " .. text, 0)
end


-- runs the CALL in the slot and sends its RETURN
local function answer(session, slot, plugin, started, find)
  local c = session.counters
  c.calls = c.calls + 1
  local generation = slot.generation
  local row, err = find(slot.arg)
  if not row then
    return raise(session, slot, started, plugin, err)
  end
  local reader = session.reader
  reader:set(slot.body, slot.body_len)
  local ok, first, second = pdk.run(row, reader)
  if session.closed then
    return nil, session.closed
  end
  if slot.generation ~= generation or not slot.open then
    return nil, "timeout" -- it took longer than the event had
  end
  if not ok then
    return raise(session, slot, started, plugin,
                 row.name .. ": " .. tostring(first))
  end

  local b = session:begin(slot, TYPE_RETURN, STATUS_OK, 0)
  ok, err = pdk.put(row, b, first, second)
  if not ok then
    b = session:begin(slot, TYPE_RETURN, layout.STATUS_UNENCODABLE, 0)
    b:put_str(err)
  end
  return session:send(slot)
end


-- the plugin's last word: ends the event and then answers the client, which
-- never returns
local function exit(session, slot, plugin, started, find)
  local row, err = find(slot.arg)
  if not row then
    return raise(session, slot, started, plugin, err)
  end
  local reader = session.reader
  reader:set(slot.body, slot.body_len)
  session:release(slot)
  session:count_event(started)
  local ok
  ok, err = pdk.run(row, reader)
  if not ok then
    error("plugin " .. plugin .. ": " .. row.name .. ": " .. tostring(err), 0)
  end
end


-- ends an event that did not come to its own end
local function give_up(session, slot, started, err)
  local late = err == "timeout"
  if late and not session.closed then
    session.counters.deadlines = session.counters.deadlines + 1
  end
  session:cancel(slot, layout.STATUS_DEADLINE, "the event's time is over")
  session:count_event(started, true)
  if late then
    return false, _M.TIMEOUT, "no answer in time"
  end
  return false, _M.UNAVAILABLE, err
end


-- the end that the server announced
local function finish(session, slot, started)
  local status, text = slot.code, nil
  if status ~= STATUS_OK then
    local reader = session.reader
    reader:set(slot.body, slot.body_len)
    text = reader:read_str() or "no reason given"
  end
  session:release(slot)
  session:count_event(started, status ~= STATUS_OK)
  if status == STATUS_OK then
    return true
  elseif status == STATUS_SHUTDOWN then
    return false, _M.UNAVAILABLE, text
  end
  return false, _M.FAILED, text, status
end


-- runs one event on an instance
local function run_on(session, id, plugin, phase, deadline, find)
  local slot, err = session:acquire(TYPE_EVENT, deadline)
  if not slot then
    return false, _M.UNAVAILABLE, err
  end
  local c = session.counters
  c.events = c.events + 1
  local started = C.kongring_ticks()

  session:begin(slot, TYPE_EVENT, PHASE[phase], id)
  local ok, slow
  ok, err, slow = session:send(slot)
  while ok do
    local kind
    kind, err = session:await(slot, slow)
    if kind == TYPE_CALL then
      ok, err, slow = answer(session, slot, plugin, started, find)
    elseif kind == TYPE_EXIT then
      exit(session, slot, plugin, started, find)
      return true
    elseif kind then
      return finish(session, slot, started)
    else
      ok = nil
    end
  end
  return give_up(session, slot, started, err)
end


--- Runs one event.
-- Raises what a PDK method raised; does not return when the plugin answered
-- the client itself.
-- @phases those that may yield
-- @tparam table bridge the connection to the server
-- @tparam string plugin its name
-- @tparam string phase Kong's name of the phase
-- @tparam table conf the plugin's config as Kong gave it
-- @tparam number timeout seconds that the event may take
-- @tparam function|nil find gives the method of a number, `pdk.method` if nil
-- @treturn boolean whether the event came to its end
-- @treturn string|nil one of the kinds of failure
-- @treturn string|nil what happened
function _M.run(bridge, plugin, phase, conf, timeout, find)
  find = find or pdk.method
  local deadline = now() + timeout
  local ok, failure, text, status
  for _ = 1, 2 do
    local session, err = bridge:get()
    if not session then
      return false, _M.UNAVAILABLE, err
    end
    local id
    id, text, status = instances.get(session, plugin, conf, deadline)
    if not id then
      if text == "timeout" then
        return false, _M.TIMEOUT, "the instance did not start in time"
      elseif not status or status == STATUS_SHUTDOWN then
        return false, _M.UNAVAILABLE, text
      end
      return false, _M.FAILED, text
    end

    ok, failure, text, status = run_on(session, id, plugin, phase, deadline,
                                       find)
    if status ~= STATUS_NO_INSTANCE then
      break
    end
    instances.forget(conf) -- once more, with a fresh instance
  end
  return ok, failure, text
end


return _M
