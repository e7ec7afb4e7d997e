--- Events of the log phase, which happen when the request is over.
--
-- Purpose: nothing may yield in log_by_lua, so the handler captures what the
-- plugin can ask for, posts the event (posted.lua), and goes on.
--
-- A timer of the worker runs, on light threads and a bounded number at a time,
-- the events that have to wait, since no light thread that reads the ring may:
--
-- * for a session or an instance: an event that cannot be posted;
-- * for room in the ring, or for a message that is longer than a frame;
-- * in a method of Kong that asks a database, a vault, or for a body;
-- * for the server, when the worker shuts down or the server stops;
-- * and those that failed, which may have to be run once more.
--
-- Called by: handler.lua. Phases: log, timer.
--
-- @module kongring.log_phase


local calls = require "kongring.call"
local event = require "kongring.event"
local instances = require "kongring.instance"
local layout = require "kongring.layout"
local posted = require "kongring.posted"
local report = require "kongring.report"
local saved_request = require "kongring.saved"
local semaphore = require "ngx.semaphore"
local timer_at = require("kongring.timer").at
local turn = require "kongring.turn"


local cut = require("kongring.trace").cut
local log = ngx.log
local now = require("kongring.sys").now
local ERR = ngx.ERR
local PHASE_LOG = layout.PHASE.log
local STATUS_DEADLINE = layout.STATUS_DEADLINE


-- Events that run in the timer at a time at most, well below the slots of a
-- session, and events that wait for their turn; more are dropped and counted.
local MAX_RUNNING = 512
local MAX_WAITING = 4096
local EVENTS_PER_TIMER = 10000


local _M = {}


-- Events that wait, by number, from `first` to `last`: what was `saved`, and of
-- one that was posted where it goes on.
local waiting, first, last = {}, 1, 0
local running, dropped = 0, 0
local asked -- when a timer was asked for that has not run yet
local runner -- the semaphore of the timer that takes events, nil without one


local function log_err(line)
  log(ERR, line)
end


-- says that an event ended badly: with a kind of failure, or by what was raised
local function tell(saved, failure, text)
  local name = saved.handler.name
  report.write(log_err, "[" .. name .. "] plugin " .. name .. ", instance " ..
               report.instance(saved.conf) .. ", phase log: " ..
               (failure and failure .. ": " or ""), tostring(text),
               report.suffix(saved.request_id))
end


-- runs an event, or what is left of it
local function run_event(e)
  local saved, session = e.saved, e.session
  local o, conf = saved.handler, saved.conf
  local entity = o.of[conf]
  if session then
    local ended, failure, text, status = event.resume(
      session, e.slot, e.generation, e.unsent)
    if not event.refused(entity.bridge, session, conf, e.id, status) then
      return ended, failure, text
    end
  end
  return event.run(entity.bridge, o.name, PHASE_LOG, conf, entity.timeout,
                   saved)
end


local function run(e, done)
  local ok, ended, failure, text = pcall(run_event, e)
  if not ok then
    tell(e.saved, nil, ended)
  elseif not ended then
    tell(e.saved, failure, text)
  end
  running = running - 1
  done.running = done.running - 1
  done.sema:post(1)
end


-- says how many events were dropped, once there is room again
local function report_dropped()
  if dropped > 0 and last - first + 1 < MAX_WAITING / 2 then
    log(ERR, "[kongring] ", dropped, " log events were dropped")
    dropped = 0
  end
end


local start_runner


-- Takes what waits, until nothing waits and nothing of its own runs. After
-- EVENTS_PER_TIMER another timer takes the rest: what a light thread cost is
-- only given back at the end of its timer.
local function run_waiting()
  asked = nil
  if runner then
    return
  end
  local own = { sema = semaphore.new(), running = 0 }
  local taken = 0
  runner = own
  repeat
    while runner == own and first <= last and running < MAX_RUNNING do
      local e = waiting[first]
      waiting[first] = nil
      first = first + 1
      running, taken = running + 1, taken + 1
      own.running = own.running + 1
      ngx.thread.spawn(run, e, own)
    end
    report_dropped()
    if taken >= EVENTS_PER_TIMER and runner == own then
      runner = nil
      start_runner()
    end
    if own.running > 0 then
      own.sema:wait(1)
    end
  until own.running == 0 and (runner ~= own or first > last)
  if runner == own then
    runner = nil
  end
end


-- makes sure that somebody takes what waits; a timer that nginx had no place
-- for is asked for again
function start_runner()
  if asked and now() - asked < 1 then
    return
  end
  local ok, err = timer_at(0, run_waiting)
  if ok then
    asked = now()
  else
    log(ERR, "[kongring] failed to make a timer for log events: ", err)
  end
end


-- has an event run in the timer
local function enqueue(e)
  last = last + 1
  waiting[last] = e
  if runner then
    runner.sema:post(1)
    turn.keep_awake()
  else
    start_runner()
  end
end


-- whether one more event may wait; says so when the first has to be dropped
local function has_place()
  if last - first + 1 < MAX_WAITING then
    return true
  end
  if dropped == 0 then
    log(ERR, "[kongring] log events are dropped: ", MAX_WAITING, " wait")
  end
  dropped = dropped + 1
  return false
end


-- what becomes of an event that was posted
local owner = { serve = posted.serve }


function owner.failed(session, slot, generation, text)
  local saved = slot.saved
  text = calls.failed(session, slot, generation, text)
  tell(saved, nil, text)
end


function owner.late(session, slot, generation)
  tell(slot.saved, event.TIMEOUT, "no answer in time")
  session:cancel(slot, generation, STATUS_DEADLINE, "the event's time is over")
end


-- has a place whoever waits: the number of those that are posted is limited
function owner.take_over(session, slot, generation, unsent)
  enqueue({
    saved = slot.saved, session = session, slot = slot, id = slot.instance,
    generation = generation, unsent = unsent,
  })
end


-- a session and the number of the instance in it, nil where an event cannot be
-- posted now
local function place(entity, conf)
  local session = entity.bridge:current()
  if session and session:can_post() then
    local id = instances.known(session, conf)
    return id and session, id
  end
  return nil
end


--- The log method of a handler.
-- @phases init
-- @tparam table o as in `kongring.handler.new`
-- @treturn function
function _M.method(o)
  return function(_, conf)
    local entity = o.of[conf]
    local session, id = place(entity, conf)
    if not session and not has_place() then
      return
    end
    local saved = saved_request.capture(o, conf)
    local begun = session and posted.begin(session, id, now() + entity.timeout,
                                           saved, owner)
    cut()
    if not begun and has_place() then
      enqueue({ saved = saved })
    end
  end
end


return _M
