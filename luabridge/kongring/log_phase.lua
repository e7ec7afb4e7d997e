--- Events of the log phase, which happen when the request is over.
--
-- Purpose: nothing may yield in log_by_lua, so the handler captures what the
-- plugin can ask for, and a light thread runs the event on that. One timer
-- serves all the events of a burst.
--
-- Called by: handler.lua. Phases: log, timer.
--
-- @module kongring.log_phase


local cjson = require "cjson.safe"
local clone = require "table.clone"
local event = require "kongring.event"
local pdk = require "kongring.pdk"


local concat = table.concat
local select = select
local tostring = tostring


-- events that wait for the timer at most; more are dropped and counted
local MAX_WAITING = 4096


local _M = {}


local function capture(o, conf)
  return {
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
local function first(headers, name)
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
    return first(s.request_headers, name)
  end,
  ["kong.request.get_headers"] = function(s) return s.request_headers end,
  ["kong.response.get_status"] = function(s) return s.status end,
  ["kong.response.get_source"] = function(s) return s.source end,
  ["kong.response.get_header"] = function(s, name)
    return first(s.response_headers, name)
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
  ["kong.nginx.get_subsystem"] = function() return ngx.config.subsystem end,
  ["kong.log.serialize"] = function(s) return cjson.encode(s.serialized) end,
  ["kong.log.alert"] = line(ngx.ALERT),
  ["kong.log.crit"] = line(ngx.CRIT),
  ["kong.log.err"] = line(ngx.ERR),
  ["kong.log.warn"] = line(ngx.WARN),
  ["kong.log.notice"] = line(ngx.NOTICE),
  ["kong.log.info"] = line(ngx.INFO),
  ["kong.log.debug"] = line(ngx.DEBUG),
}


-- the method of a number, for one captured request
local function finder(saved)
  return function(number)
    local row, err = pdk.method(number)
    if not row then
      return nil, err
    end
    local f = SAVED[row.name]
    if not f then
      return nil, row.name .. ": not available in the log phase"
    end
    return {
      name = row.name,
      put = row.put,
      call = function(...) return f(saved, ...) end,
    }
  end
end


local function run(saved)
  local o = saved.handler
  local ok, failed, failure, text = pcall(event.run, o.bridge or o.start(),
                                          o.name, "log", saved.conf, o.timeout,
                                          finder(saved))
  if not ok then
    ngx.log(ngx.ERR, "[", o.name, "] phase log: ", failed)
  elseif not failed then
    ngx.log(ngx.ERR, "[", o.name, "] phase log: ", failure, ": ", text)
  end
end


local waiting, dropped = {}, 0


local function run_waiting()
  local batch = waiting
  waiting = {}
  if dropped > 0 then
    ngx.log(ngx.ERR, "[kongring] ", dropped, " log events were dropped: ",
            "more than ", MAX_WAITING, " waited")
    dropped = 0
  end
  for i = 1, #batch do
    ngx.thread.spawn(run, batch[i])
  end
end


--- The log method of a handler.
-- @phases init
-- @tparam table o as in `kongring.handler.new`
-- @treturn function
function _M.method(o)
  return function(_, conf)
    local n = #waiting
    if n >= MAX_WAITING then
      dropped = dropped + 1
      return
    end
    waiting[n + 1] = capture(o, conf)
    if n == 0 then
      local ok, err = (_G.native_timer_at or ngx.timer.at)(0, run_waiting)
      if not ok then
        waiting = {}
        ngx.log(ngx.ERR, "[kongring] failed to make a timer for log events: ",
                err)
      end
    end
  end
end


return _M
