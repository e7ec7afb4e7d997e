--- What a request that is over leaves behind, and the PDK methods on it.
--
-- Purpose: the log phase of a plugin runs when nginx has no request any more,
-- so that what the plugin can ask for is captured before (capture.lua).
--
-- Called by: log_phase.lua, session_receive.lua. Phases: `capture` log; its
-- methods timer, where those that wait say so (`waits` in their row).
--
-- @module kongring.saved


local cjson = require "cjson.safe"
local capture = require("kongring.capture")[ngx.config.subsystem]
local pdk = require "kongring.pdk"
local report = require "kongring.report"


local error = error
local decode_args = ngx.decode_args
local gmatch = string.gmatch
local gsub = string.gsub
local lower = string.lower
local match = string.match
local min = math.min
local pairs = pairs
local select = select
local setmetatable = setmetatable
local sort = table.sort
local type = type
local unpack = unpack


-- arguments and headers that are given where no number is asked for
local MAX_VALUES = 100


local _M = {}


local find -- see below


-- methods as they are for live requests, by name, looked up when first called
local live = setmetatable({}, {
  __index = function(t, name)
    local f = pdk.find(name) or function()
      error(name .. ": this Kong has no such method", 0)
    end
    t[name] = f
    return f
  end,
})


--- Captures the request that ends now, or the stream connection.
-- @phases log
-- @tparam table o as in `kongring.handler.new`
-- @tparam table conf the plugin's config
-- @treturn table what `kongring.event.run` takes as saved
function _M.capture(o, conf)
  local s = capture()
  s.find, s.handler, s.conf, s.log = find, o, conf, kong.log
  s.request_id = report.request_id()
  return s
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


-- No more than so many of a table's values: the first by name, as their order
-- in the message is not kept.
local function up_to(max, values)
  local names, some = {}, {}
  for name in pairs(values or {}) do
    names[#names + 1] = name
  end
  sort(names)
  for i = 1, min(max or MAX_VALUES, #names) do
    some[names[i]] = values[names[i]]
  end
  return some
end


local function query(s, max)
  return (decode_args(s.raw_query, max or MAX_VALUES))
end


-- methods that have another form while the request still is there
local NOW = {}


-- A method that needs nothing of the request but its ngx.ctx, or not even that.
-- All events of the worker share a timer and so one ngx.ctx: a method that
-- waits looks at it before, and not afterwards.
local function in_ctx(name)
  NOW[name] = function(_, ...)
    return live[name](...)
  end
  return function(s, ...)
    ngx.ctx = s.ngx_ctx
    return live[name](...)
  end
end


-- a line, in the plugin's kong.log
local function line(level)
  return function(s, ...)
    local n = select("#", ...)
    local text = { ... }
    text[n + 1] = report.suffix(s.request_id)
    pdk.write_line(s.log, level, unpack(text, 1, n + 1))
  end
end


-- kong.log.set_serialize_value, on what was serialized already
local function set_serialized(s, key, value, options)
  local at = s.serialized
  for name in gmatch(match(key, "^(.*)%.") or "", "[^.]+") do
    if at[name] == nil then
      at[name] = {}
    elseif type(at[name]) ~= "table" then
      error("kong.log.set_serialize_value: " .. key .. ": " .. name ..
            " is not a table", 0)
    end
    at = at[name]
  end
  local last = match(key, "[^.]*$")
  local mode, exists = options and options.mode or "set", at[last] ~= nil
  if mode == "set" or exists == (mode == "replace") then
    at[last] = value
  end
end


-- what each method gives once the request is over
local SAVED = {
  ["kong.request.get_method"] = function(s) return s.method end,
  ["kong.request.get_path"] = function(s) return s.path end,
  ["kong.request.get_raw_path"] = function(s) return s.raw_path end,
  ["kong.request.get_raw_query"] = function(s) return s.raw_query end,
  ["kong.request.get_path_with_query"] = function(s)
    return s.path_with_query
  end,
  ["kong.request.get_query"] = query,
  ["kong.request.get_query_arg"] = function(s, name)
    local v = first_value(query(s), name)
    return v == true and "" or v
  end,
  ["kong.request.get_scheme"] = function(s) return s.scheme end,
  ["kong.request.get_host"] = function(s) return s.host end,
  ["kong.request.get_port"] = function(s) return s.port end,
  ["kong.request.get_forwarded_scheme"] = function(s)
    return s.forwarded_scheme
  end,
  ["kong.request.get_forwarded_host"] = function(s) return s.forwarded_host end,
  ["kong.request.get_forwarded_port"] = function(s) return s.forwarded_port end,
  ["kong.request.get_forwarded_path"] = function(s) return s.forwarded_path end,
  ["kong.request.get_forwarded_prefix"] = function(s)
    return s.forwarded_prefix
  end,
  ["kong.request.get_http_version"] = function(s) return s.http_version end,
  ["kong.request.get_start_time"] = function(s) return s.start_time_ms end,
  ["kong.request.get_header"] = function(s, name)
    return first_value(s.request_headers, name)
  end,
  ["kong.request.get_headers"] = function(s, max)
    return up_to(max, s.request_headers)
  end,
  ["kong.request.get_uri_captures"] = in_ctx("kong.request.get_uri_captures"),
  ["kong.response.get_status"] = function(s) return s.status end,
  ["kong.response.get_source"] = function(s) return s.source end,
  ["kong.response.get_header"] = function(s, name)
    return first_value(s.response_headers, name)
  end,
  ["kong.response.get_headers"] = function(s, max)
    return up_to(max, s.response_headers)
  end,
  ["kong.service.response.get_status"] = function(s)
    return s.service_status
  end,
  ["kong.service.response.get_header"] = function(s, name)
    return first_value(s.service_headers or {}, lower((gsub(name, "_", "-"))))
  end,
  ["kong.service.response.get_headers"] = function(s, max)
    return up_to(max, s.service_headers)
  end,
  ["kong.service.response.get_raw_body"] =
    in_ctx("kong.service.response.get_raw_body"),
  ["kong.service.response.get_body"] =
    in_ctx("kong.service.response.get_body"),
  ["kong.client.get_ip"] = function(s) return s.client_ip end,
  ["kong.client.get_forwarded_ip"] = function(s) return s.forwarded_ip end,
  ["kong.client.get_port"] = function(s) return s.client_port end,
  ["kong.client.get_forwarded_port"] = function(s)
    return s.forwarded_client_port
  end,
  ["kong.client.get_protocol"] = function(s, allow_terminated)
    if allow_terminated then
      return s.terminated_protocol, s.no_terminated_protocol
    end
    return s.protocol, s.no_protocol
  end,
  ["kong.client.get_consumer"] = in_ctx("kong.client.get_consumer"),
  ["kong.client.get_credential"] = in_ctx("kong.client.get_credential"),
  ["kong.client.load_consumer"] = in_ctx("kong.client.load_consumer"),
  ["kong.client.tls.get_full_client_certificate_chain"] = function(s)
    return s.chain, s.no_chain
  end,
  ["kong.router.get_route"] = in_ctx("kong.router.get_route"),
  ["kong.router.get_service"] = in_ctx("kong.router.get_service"),
  ["kong.plugin.get_id"] = in_ctx("kong.plugin.get_id"),
  ["kong.ip.is_trusted"] = in_ctx("kong.ip.is_trusted"),
  ["kong.node.get_id"] = in_ctx("kong.node.get_id"),
  ["kong.node.get_hostname"] = in_ctx("kong.node.get_hostname"),
  ["kong.node.get_memory_stats"] = in_ctx("kong.node.get_memory_stats"),
  ["kong.cluster.get_id"] = in_ctx("kong.cluster.get_id"),
  ["kong.vault.get"] = in_ctx("kong.vault.get"),
  ["kong.vault.is_reference"] = in_ctx("kong.vault.is_reference"),
  ["kong.vault.parse_reference"] = in_ctx("kong.vault.parse_reference"),
  ["kong.ctx.shared.get"] = function(s, k) return s.shared[k] end,
  ["kong.ctx.shared.set"] = function(s, k, v) s.shared[k] = v end,
  ["kong.ctx.plugin.get"] = function(s, k) return s.plugin[k] end,
  ["kong.ctx.plugin.set"] = function(s, k, v) s.plugin[k] = v end,
  ["kong.nginx.get_ctx"] = function(s, k) return s.ngx_ctx[k] end,
  ["kong.nginx.set_ctx"] = function(s, k, v) s.ngx_ctx[k] = v end,
  ["kong.nginx.req_start_time"] = function(s) return s.start_time end,
  ["kong.nginx.get_subsystem"] = function(_) return ngx.config.subsystem end,
  ["kong.log.serialize"] = function(s) return cjson.encode(s.serialized) end,
  ["kong.log.set_serialize_value"] = set_serialized,
  ["kong.log.emerg"] = line("emerg"),
  ["kong.log.alert"] = line("alert"),
  ["kong.log.crit"] = line("crit"),
  ["kong.log.err"] = line("err"),
  ["kong.log.warn"] = line("warn"),
  ["kong.log.notice"] = line("notice"),
  ["kong.log.info"] = line("info"),
  ["kong.log.debug"] = line("debug"),
}


setmetatable(NOW, { __index = SAVED })


-- Those of them that may wait in Lua. All others give what they have at once.
local WAITS = {
  ["kong.client.load_consumer"] = true,
  ["kong.cluster.get_id"] = true,
  ["kong.service.response.get_body"] = true,
  ["kong.service.response.get_raw_body"] = true,
  ["kong.vault.get"] = true,
}


-- makes what gives the row of a number, made when it is first asked for
local function finder(functions)
  local rows = {}
  return function(number)
    local row = rows[number]
    if row then
      return row
    end
    local method, err = pdk.method(number)
    if not method then
      return nil, err
    end
    local f = functions[method.name]
    if not f then
      return nil, method.name .. ": not available in the log phase"
    end
    row = {
      name = method.name, put = method.put, call = f,
      waits = WAITS[method.name],
    }
    rows[number] = row
    return row
  end
end


find = finder(SAVED)


--- A method by its number, as `kongring.pdk` gives it, on a request that ends
-- now: what `capture` gave is its first argument.
-- @phases all; to be called in log
-- @function method_now
-- @tparam number number
-- @treturn table|nil the row
-- @treturn string|nil why there is none
_M.method_now = finder(NOW)


return _M
