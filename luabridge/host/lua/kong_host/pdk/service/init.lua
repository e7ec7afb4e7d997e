--- `kong.service`: where the request goes.
-- @module kong.service


local phase_check = require "kong_host.phase_check"


local error = error
local floor = math.floor
local ngx = ngx
local type = type
local var = ngx.var


local check = phase_check.check
local SET_TARGET = phase_check.SET_TARGET


local _M = {
  request = require "kong_host.pdk.service.request",
  response = require "kong_host.pdk.service.response",
}


--- Sends the request to this host instead of the service's. It is also the
-- Host header, unless a plugin sets that afterwards.
-- @function kong.service.set_target
-- @phases rewrite, access, balancer
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
  ngx.ctx.balancer_data = { host = host, port = port }
end


return _M
