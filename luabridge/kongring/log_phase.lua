--- Events of the log phase, which happen when the request is over.
--
-- Purpose: nothing may yield in log_by_lua, so the handler captures what the
-- plugin can ask for, and a light thread runs the event on that. One timer
-- runs the events of the whole worker, a bounded number at a time.
--
-- Called by: handler.lua. Phases: log, timer.
--
-- @module kongring.log_phase


local event = require "kongring.event"
local layout = require "kongring.layout"
local report = require "kongring.report"
local saved_request = require "kongring.saved"
local semaphore = require "ngx.semaphore"
local timer_at = require("kongring.timer").at
local turn = require "kongring.turn"


local PHASE_LOG = layout.PHASE.log


-- Events that run at a time at most, well below the slots of a session, and
-- events that wait for their turn; more are dropped and counted.
local MAX_RUNNING = 512
local MAX_WAITING = 4096
local EVENTS_PER_TIMER = 10000


local _M = {}


-- events that wait, by number, from `first` to `last`
local waiting, first, last = {}, 1, 0
local running, dropped = 0, 0
local asked -- when a timer was asked for that has not run yet
local runner -- the semaphore of the timer that takes events, nil without one


local function log_err(line)
  ngx.log(ngx.ERR, line)
end


local function run_event(saved)
  local o = saved.handler
  local e = o.of[saved.conf]
  return event.run(e.bridge, o.name, PHASE_LOG, saved.conf, e.timeout, saved)
end


local function run(saved, done)
  local o = saved.handler
  local ok, ended, failure, text = pcall(run_event, saved)
  if not ok or not ended then
    report.write(log_err, "[" .. o.name .. "] plugin " .. o.name ..
                 ", instance " .. report.instance(saved.conf) ..
                 ", phase log: " .. (ok and failure .. ": " or ""),
                 ok and text or tostring(ended),
                 report.suffix(saved.request_id))
  end
  running = running - 1
  done.running = done.running - 1
  done.sema:post(1)
end


local function report_dropped()
  if dropped > 0 then
    ngx.log(ngx.ERR, "[kongring] ", dropped, " log events were dropped: ",
            "more than ", MAX_WAITING, " waited")
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
      local saved = waiting[first]
      waiting[first] = nil
      first = first + 1
      running, taken = running + 1, taken + 1
      own.running = own.running + 1
      ngx.thread.spawn(run, saved, own)
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
  if asked and ngx.now() - asked < 1 then
    return
  end
  local ok, err = timer_at(0, run_waiting)
  if ok then
    asked = ngx.now()
  else
    ngx.log(ngx.ERR, "[kongring] failed to make a timer for log events: ", err)
  end
end


--- The log method of a handler.
-- @phases init
-- @tparam table o as in `kongring.handler.new`
-- @treturn function
function _M.method(o)
  return function(_, conf)
    if last - first + 1 >= MAX_WAITING then
      dropped = dropped + 1
      report_dropped()
      return
    end
    last = last + 1
    waiting[last] = saved_request.capture(o, conf)
    if runner then
      runner.sema:post(1)
      turn.keep_awake()
    else
      start_runner()
    end
  end
end


return _M
