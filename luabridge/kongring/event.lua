--- One event: a phase of a request, run by a plugin in the plugin server.
--
-- Purpose: sends the EVENT, runs the PDK calls that come back, in this
-- coroutine, and ends with what the plugin decided.
--
--     Lua                                      Go
--     EVENT(instance, phase, values)     ──▶  the handler starts
--     applies the writes, in order,
--     and runs the method                ◀──  CALL(writes, method, arguments)
--     RETURN(result)                     ──▶  the handler goes on
--     applies the writes and ends        ◀──  DONE(writes, status) or
--                                             EXIT(writes, arguments)
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
local prefetch = require "kongring.prefetch"


local C = helper.C
local band = bit.band
local rshift = bit.rshift
local error = error
local pcall = pcall
local tostring = tostring
local now = ngx.now
local TYPE_EVENT = layout.TYPE_EVENT
local TYPE_CALL = layout.TYPE_CALL
local TYPE_RETURN = layout.TYPE_RETURN
local TYPE_EXIT = layout.TYPE_EXIT
local STATUS_OK = layout.STATUS_OK
local STATUS_NO_INSTANCE = layout.STATUS_NO_INSTANCE
local STATUS_SHUTDOWN = layout.STATUS_SHUTDOWN
local ARG_METHOD = layout.ARG_METHOD
local ARG_WRITES = layout.ARG_WRITES
local PHASE = layout.PHASE


local _M = {
  --- Kinds of failure, as `run` gives them.
  UNAVAILABLE = "unavailable", -- no server, or it went away meanwhile
  TIMEOUT = "timeout", -- the event's time is over
  FAILED = "failed", -- the plugin or its instance failed
}


-- What one run of an event is made of: the session, the slot with its
-- generation, the plugin's name, `find`, which gives the method of a number,
-- and for a request that is over, what it `saved`.


-- ends the event on both sides and raises what a method raised
local function raise(e, text)
  local session = e.session
  session:cancel(e.slot, e.generation, layout.STATUS_LUA_ERROR, text)
  session:count_event(e.started, true)
  error("plugin " .. e.plugin .. ": " .. text, 0)
end


-- reads a method's number and finds its row
local function read_method(e)
  local number, err = e.slot.reader:read_u16()
  if number then
    return e.find(number)
  end
  return nil, err
end


-- Applies the writes that a message brought, and leaves the reader behind them.
-- Gives nil when all went well, else what went wrong.
local function apply(e)
  for _ = 1, rshift(e.slot.arg, ARG_WRITES) do
    local row, err = read_method(e)
    if not row then
      return err
    end
    local n
    n, err = pdk.read(e.slot.reader)
    if not n then
      return row.name .. ": " .. err
    end
    local ok, raised = pcall(pdk.call, row, n, e.saved)
    if not ok then
      return row.name .. ": " .. tostring(raised)
    end
    if not e.session:owns(e.slot, e.generation) then
      return nil -- the write took longer than the event had
    end
  end
end


-- the row of the method that a message calls, and its number of arguments
local function read_call(e)
  local number = band(e.slot.arg, ARG_METHOD)
  if number == 0 then
    return pdk.NOTHING, 0
  end
  local row, err = e.find(number)
  if not row then
    return nil, err
  end
  local n
  n, err = pdk.read(e.slot.reader)
  if not n then
    return nil, row.name .. ": " .. err
  end
  return row, n
end


-- runs the CALL in the slot and sends its RETURN
local function answer(e)
  local session, slot = e.session, e.slot
  local c = session.counters
  c.calls = c.calls + 1
  local failed = apply(e)
  if failed then
    return raise(e, failed)
  end
  if not session:owns(slot, e.generation) then
    return nil, "gone"
  end
  local row, n = read_call(e)
  if not row then
    return raise(e, n)
  end

  local b = session:begin(slot, TYPE_RETURN, STATUS_OK, 0)
  local ok, put, err = pcall(pdk.answer, row, b, n, e.saved)
  if session.closed then
    return nil, session.closed
  end
  if not session:owns(slot, e.generation) then
    return nil, "gone" -- it took longer than the event had
  end
  if not ok then
    return raise(e, row.name .. ": " .. tostring(put))
  end
  if put and b.len > session.max_message then
    put, err = nil, "result of " .. b.len .. " bytes, the limit is " ..
                    session.max_message
  end
  if not put then
    b = session:begin(slot, TYPE_RETURN, layout.STATUS_UNENCODABLE, 0)
    b:put_str(err)
  end
  return session:send(slot, e.generation)
end


-- the plugin's last word: ends the event and then answers the client, which
-- never returns
local function exit(e)
  local err = apply(e)
  if err then
    return raise(e, err)
  end
  local row, n = read_call(e)
  if not row then
    return raise(e, n)
  end
  local session = e.session
  session:release(e.slot, e.generation)
  session:count_event(e.started)
  local ok
  ok, err = pcall(pdk.call, row, n, e.saved)
  if not ok then
    error("plugin " .. e.plugin .. ": " .. row.name .. ": " .. tostring(err), 0)
  end
end


-- ends an event that did not come to its own end
local function give_up(e, err)
  local session = e.session
  local late = err == "timeout" or err == "gone"
  if late and not session.closed then
    session.counters.deadlines = session.counters.deadlines + 1
  end
  session:cancel(e.slot, e.generation, layout.STATUS_DEADLINE,
                 "the event's time is over")
  session:count_event(e.started, true)
  if late then
    return false, _M.TIMEOUT, "no answer in time"
  end
  return false, _M.UNAVAILABLE, err
end


-- the end that the server announced
local function finish(e)
  local slot = e.slot
  local status, text = slot.code, nil
  local failed = apply(e)
  if failed then
    return raise(e, failed)
  end
  if status ~= STATUS_OK then
    text = slot.reader:read_str() or "no reason given"
  end
  e.session:release(slot, e.generation)
  e.session:count_event(e.started, status ~= STATUS_OK)
  if status == STATUS_OK then
    return true
  elseif status == STATUS_SHUTDOWN then
    return false, _M.UNAVAILABLE, text
  end
  return false, _M.FAILED, text, status
end


-- sends the EVENT, with the values that its handler is known to ask for
local function begin(e, id, phase)
  local session = e.session
  local c = session.counters
  c.events = c.events + 1
  e.started = C.kongring_ticks()
  local number = PHASE[phase]
  local b = session:begin(e.slot, TYPE_EVENT, number, id)
  local profile = not e.saved and session:profile(id, number)
  if profile then
    prefetch.put(profile, b)
  end
  return session:send(e.slot, e.generation)
end


-- runs one event on an instance
local function run_on(e, id, phase, deadline)
  local session = e.session
  local slot, generation = session:acquire(TYPE_EVENT, deadline)
  if not slot then
    return false, _M.UNAVAILABLE, generation
  end
  e.slot, e.generation = slot, generation

  local ok, err, slow = begin(e, id, phase)
  while ok do
    local kind
    kind, err = session:await(slot, generation, slow)
    if kind == TYPE_CALL and not session.closed then
      ok, err, slow = answer(e)
    elseif kind == TYPE_EXIT then
      exit(e)
      return true
    elseif kind and kind ~= TYPE_CALL then
      return finish(e)
    else
      ok, err = nil, err or session.closed
    end
  end
  return give_up(e, err)
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
-- @tparam table|nil saved what a request that is over left behind, with `find`,
-- which gives the method of a number for it
-- @treturn boolean whether the event came to its end
-- @treturn string|nil one of the kinds of failure
-- @treturn string|nil what happened
function _M.run(bridge, plugin, phase, conf, timeout, saved)
  local find = saved and saved.find or pdk.method
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

    ok, failure, text, status = run_on({
      session = session, plugin = plugin, find = find, saved = saved,
    }, id, phase, deadline)
    if status ~= STATUS_NO_INSTANCE then
      break
    end
    instances.forget(conf) -- once more, with a fresh instance
  end
  return ok, failure, text
end


return _M
