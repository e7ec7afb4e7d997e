--- Events of the log phase, which happen when the request is over.
--
-- Purpose: nothing may yield in log_by_lua, so the handler captures what the
-- plugin can ask for, and a light thread runs the event on that. One timer
-- runs the events of the whole worker, a bounded number at a time.
--
-- Called by: handler.lua. Phases: log, timer.
--
-- @module kongring.log_phase


local cjson = require "cjson.safe"
local clone = require "table.clone"
local event = require "kongring.event"
local layout = require "kongring.layout"
local pdk = require "kongring.pdk"
local semaphore = require "ngx.semaphore"
local timer_at = require("kongring.timer").at


local concat = table.concat
local select = select
local tostring = tostring
local PHASE_LOG = layout.PHASE.log


-- Events that run at a time at most, well below the slots of a session, and
-- events that wait for their turn; more are dropped and counted.
local MAX_RUNNING = 512
local MAX_WAITING = 4096
local EVENTS_PER_TIMER = 10000


local _M = {}


local find -- see below


local function capture(o, conf)
  return {
    find = find,
    handler = o,
    conf = conf,
    ngx_ctx = clone(ngx.ctx),
    shared = kong.ctx.shared,
    serialized = kong.log.serialize(),
    request_headers = ngx.req.get_headers(),
    response_headers = ngx.resp.get_headers(),
    status = ngx.status,
    source = kong.response.get_source(),
    start_time = ngx.req.start_time(),
    method = kong.request.get_method(),
    path = kong.request.get_path(),
    path_with_query = kong.request.get_path_with_query(),
    scheme = kong.request.get_scheme(),
    host = kong.request.get_host(),
    client_ip = kong.client.get_ip(),
    forwarded_ip = kong.client.get_forwarded_ip(),
    consumer = kong.client.get_consumer(),
    credential = kong.client.get_credential(),
  }
end


-- the first value of a header; the captured tables ignore case and take "_"
-- for "-" (ngx.req.get_headers gives them such a metatable)
local function first_value(headers, name)
  local v = headers[name]
  if type(v) == "table" then
    return v[1]
  end
  return v
end


local function line(level)
  return function(saved, ...)
    local text = {}
    for i = 1, select("#", ...) do
      text[i] = tostring((select(i, ...)))
    end
    ngx.log(level, "[", saved.handler.name, "] ", concat(text))
  end
end


-- what each method gives once the request is over
local SAVED = {
  ["kong.request.get_method"] = function(s) return s.method end,
  ["kong.request.get_path"] = function(s) return s.path end,
  ["kong.request.get_path_with_query"] = function(s)
    return s.path_with_query
  end,
  ["kong.request.get_scheme"] = function(s) return s.scheme end,
  ["kong.request.get_host"] = function(s) return s.host end,
  ["kong.request.get_header"] = function(s, name)
    return first_value(s.request_headers, name)
  end,
  ["kong.request.get_headers"] = function(s) return s.request_headers end,
  ["kong.response.get_status"] = function(s) return s.status end,
  ["kong.response.get_source"] = function(s) return s.source end,
  ["kong.response.get_header"] = function(s, name)
    return first_value(s.response_headers, name)
  end,
  ["kong.response.get_headers"] = function(s) return s.response_headers end,
  ["kong.client.get_ip"] = function(s) return s.client_ip end,
  ["kong.client.get_forwarded_ip"] = function(s) return s.forwarded_ip end,
  ["kong.client.get_consumer"] = function(s) return s.consumer end,
  ["kong.client.get_credential"] = function(s) return s.credential end,
  ["kong.ctx.shared.get"] = function(s, k) return s.shared[k] end,
  ["kong.ctx.shared.set"] = function(s, k, v) s.shared[k] = v end,
  ["kong.nginx.get_ctx"] = function(s, k) return s.ngx_ctx[k] end,
  ["kong.nginx.req_start_time"] = function(s) return s.start_time end,
  ["kong.nginx.get_subsystem"] = function(_) return ngx.config.subsystem end,
  ["kong.log.serialize"] = function(s) return cjson.encode(s.serialized) end,
  ["kong.log.alert"] = line(ngx.ALERT),
  ["kong.log.crit"] = line(ngx.CRIT),
  ["kong.log.err"] = line(ngx.ERR),
  ["kong.log.warn"] = line(ngx.WARN),
  ["kong.log.notice"] = line(ngx.NOTICE),
  ["kong.log.info"] = line(ngx.INFO),
  ["kong.log.debug"] = line(ngx.DEBUG),
}


-- rows of the methods, by number, as they are for a request that is over
local rows = {}


function find(number)
  local row = rows[number]
  if row then
    return row
  end
  local live, err = pdk.method(number)
  if not live then
    return nil, err
  end
  local f = SAVED[live.name]
  if not f then
    return nil, live.name .. ": not available in the log phase"
  end
  row = { name = live.name, put = live.put, call = f }
  rows[number] = row
  return row
end


-- events that wait, by number, from `first` to `last`
local waiting, first, last = {}, 1, 0
local running, dropped = 0, 0
local asked -- when a timer was asked for that has not run yet
local runner -- the semaphore of the timer that takes events, nil without one


local function run(saved, done)
  local o = saved.handler
  local ok, ended, failure, text = pcall(event.run, o.bridge or o.start(),
                                         o.name, PHASE_LOG, saved.conf,
                                         o.timeout, saved)
  if not ok then
    ngx.log(ngx.ERR, "[", o.name, "] phase log: ", ended)
  elseif not ended then
    ngx.log(ngx.ERR, "[", o.name, "] phase log: ", failure, ": ", text)
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
    waiting[last] = capture(o, conf)
    if runner then
      runner.sema:post(1)
    else
      start_runner()
    end
  end
end


return _M
