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
-- A method that raises ends the event on both sides (CANCEL).
--
-- Called by: handler.lua, log_phase.lua. Phases: those that may yield.
--
-- @module kongring.event


local calls = require "kongring.call"
local helper = require "kongring.helper"
local instances = require "kongring.instance"
local layout = require "kongring.layout"
local pdk = require "kongring.pdk"
local prefetch = require "kongring.prefetch"
local report = require "kongring.report"
local sys = require "kongring.sys"


local C = helper.C
local cut = require("kongring.trace").cut
local apply = calls.apply
local method = calls.method
local run_call = calls.run
local band = bit.band
local error = error
local pcall = pcall
local tostring = tostring
local now = sys.now
local TYPE_EVENT = layout.TYPE_EVENT
local TYPE_CALL = layout.TYPE_CALL
local TYPE_DONE = layout.TYPE_DONE
local TYPE_EXIT = layout.TYPE_EXIT
local STATUS_OK = layout.STATUS_OK
local STATUS_NO_INSTANCE = layout.STATUS_NO_INSTANCE
local STATUS_SHUTDOWN = layout.STATUS_SHUTDOWN
local STATUS_BUSY = layout.STATUS_BUSY
local ARG_METHOD = layout.ARG_METHOD
local GONE = calls.GONE


local _M = {
  --- Kinds of failure, as `run` gives them.
  UNAVAILABLE = "unavailable", -- no server, or it went away meanwhile
  TIMEOUT = "timeout", -- the event's time is over
  FAILED = "failed", -- the plugin or its instance failed
}


-- What an ordinary event runs through follows the rules in trace.lua. All of it
-- is in one pcall, below, and what goes wrong with what the server sent, or in
-- a method, is raised.


-- ends an event that did not come to its own end
local function give_up(session, slot, generation, err)
  local late = err == "timeout" or err == GONE
  if late and not session.closed then
    session.counters.deadlines = session.counters.deadlines + 1
  end
  session:cancel(slot, generation, layout.STATUS_DEADLINE,
                 "the event's time is over")
  if late then
    return false, _M.TIMEOUT, "no answer in time"
  end
  return false, _M.UNAVAILABLE, err
end


-- the plugin's last word: ends the event and then answers the client, which
-- never returns
local function exit(session, slot, generation)
  if not apply(session, slot, generation) then
    return give_up(session, slot, generation, GONE)
  end
  local row = method(slot, band(slot.arg, ARG_METHOD))
  local call = pdk.read_call(row, slot.reader, slot.saved)
  session:release(slot, generation)
  local ok, err = pcall(call)
  if not ok then
    error(row.name .. ": " .. tostring(err), 0)
  end
  return true
end


-- the end that the server announced
local function finish(session, slot, generation)
  local status = slot.code
  if not apply(session, slot, generation) then
    return give_up(session, slot, generation, GONE)
  end
  if status == STATUS_OK then
    session:release(slot, generation)
    return true
  end

  local text = slot.reader:read_str() or "no reason given"
  session:release(slot, generation, true)
  if status == STATUS_SHUTDOWN or status == STATUS_BUSY then
    return false, _M.UNAVAILABLE, text, status
  end
  return false, _M.FAILED, text, status
end


-- answers a CALL and waits for what comes next
local function go_on(session, slot, generation)
  local ok, err = run_call(session, slot, generation)
  local kind
  if ok then
    ok, err = session:send(slot, generation)
  end
  cut()
  if ok then
    kind, err = session:await(slot, generation)
  end
  return kind, err
end


-- leads an event on which waits for its first message to its end
local function converse(session, slot, generation)
  local kind, err = session:await(slot, generation)
  if kind == TYPE_CALL and not session.closed then
    kind, err = go_on(session, slot, generation)
  end
  if kind == TYPE_CALL and not session.closed then
    kind, err = go_on(session, slot, generation)
  end
  if kind == TYPE_CALL then
    while kind == TYPE_CALL and not session.closed and
          now() < slot.deadline do
      kind, err = go_on(session, slot, generation)
    end
  end
  if kind == TYPE_DONE then
    return finish(session, slot, generation)
  elseif kind == TYPE_EXIT then
    return exit(session, slot, generation)
  end
  return give_up(session, slot, generation,
                 err or session.closed or "timeout")
end


-- the event from its first message, with the values that its handler is known
-- to ask for, to its end
local function drive(session, slot, generation, id, phase, profile)
  local b = session:begin(slot, TYPE_EVENT, phase, id)
  if profile then
    prefetch.put(profile, b)
  end
  local ok, err = session:send(slot, generation)
  cut()
  local ended, failure, text, status
  if ok then
    slot.began = generation
    ended, failure, text, status = converse(session, slot, generation)
  else
    ended, failure, text = give_up(session, slot, generation, err)
  end
  cut()
  return ended, failure, text, status
end


-- ends an event in which `text` was raised, on both sides first, and raises it
-- again, so that Kong treats it as it treats a Lua plugin
local function fail(session, slot, generation, plugin, conf, saved, text)
  text = calls.failed(session, slot, generation, text)
  if saved then
    error(text, 0) -- the log phase says itself whose event it was
  end
  error("plugin " .. plugin .. ": " .. text .. " (instance " ..
        report.instance(conf) .. ")", 0)
end


-- runs one event on an instance
local function run_on(session, id, phase, deadline, plugin, conf, find, saved)
  local slot, generation = session:acquire(TYPE_EVENT, deadline)
  if not slot then
    return false, _M.UNAVAILABLE, generation,
           session.closed and STATUS_SHUTDOWN or nil
  end
  slot.find, slot.saved, slot.doing = find, saved, nil
  slot.started = C.kongring_ticks()
  local c = session.counters
  c.events = c.events + 1

  local profile = not saved and session:profile(id, phase)
  local ok, ended, failure, text, status = pcall(drive, session, slot,
                                                 generation, id, phase, profile)
  if not ok and profile and prefetch.failed(profile) then
    -- nothing was sent yet: once more, and in the end without what raises
    ok, ended, failure, text, status = pcall(drive, session, slot, generation,
                                             id, phase, nil)
  end
  if not ok then
    return fail(session, slot, generation, plugin, conf, saved, ended)
  end
  return ended, failure, text, status
end


-- goes on with an event that was posted; `unsent` is whether the message in the
-- slot's buffer is
local function drive_on(session, slot, generation, unsent)
  local ok, err = true, nil
  if unsent then
    ok, err = session:send(slot, generation)
  end
  if ok then
    slot.began = generation
    return converse(session, slot, generation)
  end
  return give_up(session, slot, generation, err)
end


--- Goes on with an event that was posted and has to wait.
-- Raises what a PDK method raised.
-- @phases those that may yield
-- @tparam table session
-- @tparam table slot
-- @tparam number generation
-- @tparam boolean unsent whether the message in the slot's buffer is
-- @treturn boolean whether the event came to its end
-- @treturn string|nil one of the kinds of failure
-- @treturn string|nil what happened
-- @treturn number|nil the server's status, one of `layout.STATUS_*`
function _M.resume(session, slot, generation, unsent)
  if not session:owns(slot, generation) then
    return false, _M.TIMEOUT, "no answer in time"
  end
  local ok, ended, failure, text, status = pcall(drive_on, session, slot,
                                                 generation, unsent)
  if not ok then
    error(calls.failed(session, slot, generation, ended), 0)
  end
  return ended, failure, text, status
end


-- the session and the number of the instance in it; or a session or nil, nil,
-- what happened, and the server's status
local function look_up(bridge, plugin, conf, deadline)
  local session, err = bridge:get()
  if not session then
    return nil, nil, err
  end
  local id, text, status = instances.get(session, plugin, conf, deadline)
  return session, id, text, status
end


-- the session and the number of the instance in it, or nil, the kind of
-- failure and what happened
local function prepare(bridge, plugin, conf, deadline)
  local session, id, text, status = look_up(bridge, plugin, conf, deadline)
  if not id and session and (status == STATUS_SHUTDOWN or session.closed) then
    bridge:replace(session)
    session, id, text, status = look_up(bridge, plugin, conf, deadline)
  end
  if id then
    return session, id
  elseif text == "timeout" and not status then
    return nil, _M.TIMEOUT, "the instance did not start in time"
  elseif not status or status == STATUS_SHUTDOWN then
    return nil, _M.UNAVAILABLE, text
  end
  return nil, _M.FAILED, text
end


-- whether an event was refused before it began, and so is to be run once more:
-- with a fresh instance or session
local function refused(bridge, session, conf, id, status)
  if status == STATUS_NO_INSTANCE then
    instances.forget(session, conf, id)
  elseif status == STATUS_SHUTDOWN then
    bridge:replace(session)
  else
    return false
  end
  return true
end


--- Tells whether an event that was posted is to be run once more, since it was
-- refused before it began, and makes sure that it does not meet the same again.
-- @phases all but init
-- @function refused
-- @tparam table bridge
-- @tparam table session that refused it
-- @tparam table conf the plugin's config
-- @tparam number id of the instance in that session
-- @tparam number|nil status as `resume` gave it
-- @treturn boolean
_M.refused = refused


--- Runs one event.
-- Raises what a PDK method raised; does not return when the plugin answered
-- the client itself.
-- @phases those that may yield
-- @tparam table bridge the connection to the server
-- @tparam string plugin its name
-- @tparam number phase one of `layout.PHASE`
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
  local session, id, err = prepare(bridge, plugin, conf, deadline)
  if not session then
    return false, id, err
  end
  local ok, failure, text, status = run_on(session, id, phase, deadline,
                                           plugin, conf, find, saved)
  if refused(bridge, session, conf, id, status) then
    session, id, err = prepare(bridge, plugin, conf, deadline)
    if not session then
      return false, id, err
    end
    ok, failure, text = run_on(session, id, phase, deadline, plugin, conf,
                               find, saved)
  end
  return ok, failure, text
end


return _M
