--- `kong.service`: where the request goes.
-- @module kong.service


local phase_check = require "kong_host.phase_check"


local error = error
local floor = math.floor
local fmt = string.format
local ngx = ngx
local type = type
local var = ngx.var


local check = phase_check.check
local ACCESS = phase_check.PHASES.access
local REWRITE = phase_check.PHASES.rewrite
local SET_TARGET = phase_check.SET_TARGET


local MAX_TIMEOUT = 2 ^ 31 - 2
local NO_VERIFICATION = "this nginx has no verification of upstream TLS"


local upstreams = {}


local _M = {
  request = require "kong_host.pdk.service.request",
  response = require "kong_host.pdk.service.response",
}


--- Sets what `set_upstream` finds. Not part of the PDK.
-- @tparam table by_name `{ host, port }`
function _M._set_upstreams(by_name)
  upstreams = by_name
end


-- What the balancer is to do for this request.
local function balancer_data()
  local ctx = ngx.ctx
  local data = ctx.balancer_data
  if not data then
    data = {}
    ctx.balancer_data = data
  end
  return data
end


-- Raises at the caller's caller.
local function check_integer(name, value, min, max)
  if type(value) ~= "number" or floor(value) ~= value then
    error(name .. " must be an integer", 3)
  elseif value < min or value > max then
    error(fmt("%s must be an integer between %d and %d: given %s", name, min,
              max, value), 3)
  end
end


--- Sends the request to this host instead of the service's. It is also the
-- Host header, unless a plugin sets that afterwards.
-- @function kong.service.set_target
-- @phases access, balancer; in rewrite Kong's check lets it through, and it
-- fails because there is no balancer yet
-- @tparam string host
-- @tparam number port
function _M.set_target(host, port)
  check(SET_TARGET, "kong.service.set_target")

  if type(host) ~= "string" then
    error("host must be a string", 2)
  elseif type(port) ~= "number" or floor(port) ~= port then
    error("port must be an integer", 2)
  elseif port < 0 or port > 65535 then
    error("port must be an integer between 0 and 65535: given " .. port, 2)
  end

  var.upstream_host = host
  if ngx.ctx.KONG_PHASE == REWRITE then
    error("attempt to index field 'balancer_data' (a nil value)", 2)
  end
  local data = balancer_data()
  data.host, data.port = host, port
end


--- Sends the request to one of the file's `upstreams`.
-- @function kong.service.set_upstream
-- @phases access
-- @tparam string host name of the upstream
-- @treturn boolean|nil true
-- @treturn nil|string error
function _M.set_upstream(host)
  check(ACCESS, "kong.service.set_upstream")
  if type(host) ~= "string" then
    error("host must be a string", 2)
  end

  local upstream = upstreams[host]
  if not upstream then
    return nil, "could not find an Upstream named '" .. host .. "'"
  end

  local data = balancer_data()
  data.host, data.port = upstream.host, upstream.port
  return true
end


--- How many times nginx tries again after a failed attempt.
-- @function kong.service.set_retries
-- @phases access
-- @tparam number retries 0 to 32767
function _M.set_retries(retries)
  check(ACCESS, "kong.service.set_retries")
  check_integer("retries", retries, 0, 32767)
  balancer_data().retries = retries
end


--- @function kong.service.set_timeouts
-- @phases access
-- @tparam number connect_timeout milliseconds, 1 to 2147483646
-- @tparam number write_timeout the same
-- @tparam number read_timeout the same
function _M.set_timeouts(connect_timeout, write_timeout, read_timeout)
  check(ACCESS, "kong.service.set_timeouts")
  check_integer("connect_timeout", connect_timeout, 1, MAX_TIMEOUT)
  check_integer("write_timeout", write_timeout, 1, MAX_TIMEOUT)
  check_integer("read_timeout", read_timeout, 1, MAX_TIMEOUT)

  local data = balancer_data()
  data.connect_timeout = connect_timeout
  data.write_timeout = write_timeout
  data.read_timeout = read_timeout
end


--- Kong's nginx can check the certificate of each service; this one cannot.
-- @function kong.service.set_tls_verify
-- @phases rewrite, access, balancer
-- @tparam boolean on
-- @treturn boolean|nil
-- @treturn nil|string error
function _M.set_tls_verify(on)
  check(SET_TARGET, "kong.service.set_tls_verify")
  if type(on) ~= "boolean" then
    error("argument must be a boolean", 2)
  end

  return nil, NO_VERIFICATION
end


--- @function kong.service.set_tls_verify_depth
-- @phases rewrite, access, balancer
-- @tparam number depth 0 or more
-- @treturn boolean|nil
-- @treturn nil|string error
function _M.set_tls_verify_depth(depth)
  check(SET_TARGET, "kong.service.set_tls_verify_depth")
  if type(depth) ~= "number" or depth < 0 then
    error("argument must be a number and not negative", 2)
  end

  return nil, NO_VERIFICATION
end


return _M
