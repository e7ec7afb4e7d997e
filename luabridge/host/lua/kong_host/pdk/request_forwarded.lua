--- `kong.request.get_forwarded_*`: the request as the client in front of a
-- proxy made it. The proxy says so in X-Forwarded-* headers, which count only
-- if its address is trusted.
-- @module kong.request


local client_request = require "kong_host.client_request"
local phase_check = require "kong_host.phase_check"


local find = string.find
local header = client_request.header
local lower = string.lower
local ngx = ngx
local path = client_request.path
local sub = string.sub
local tonumber = tonumber
local var = ngx.var


local check = phase_check.check
local REQUEST = phase_check.REQUEST


local _M = {}


local function trusted_header(name)
  return kong.ip.is_trusted(kong.client.get_ip()) and header(name) or nil
end


-- Splits user@host:port.
local function split_host(value)
  local at = find(value, "@", 1, true)
  if at then
    value = sub(value, at + 1)
  end

  local colon = find(value, ":", 1, true)
  if not colon then
    return value
  end
  return sub(value, 1, colon - 1), sub(value, colon + 1)
end


local function to_port(text)
  local port = text and tonumber(text, 10)
  return port and port >= 1 and port <= 65535 and port or nil
end


--- As `get_scheme`, or X-Forwarded-Proto.
-- @function kong.request.get_forwarded_scheme
-- @phases rewrite, access, response, header_filter, body_filter, log
-- @treturn string
function _M.get_forwarded_scheme()
  check(REQUEST, "kong.request.get_forwarded_scheme")
  local scheme = trusted_header("X-Forwarded-Proto")
  return scheme and lower(scheme) or var.scheme
end


--- As `get_host`, or X-Forwarded-Host.
-- @function kong.request.get_forwarded_host
-- @phases rewrite, access, response, header_filter, body_filter, log
-- @treturn string
function _M.get_forwarded_host()
  check(REQUEST, "kong.request.get_forwarded_host")
  local host = trusted_header("X-Forwarded-Host")
  return host and lower((split_host(host))) or var.host
end


--- As `get_port`, or X-Forwarded-Port, or the port in X-Forwarded-Host.
-- @function kong.request.get_forwarded_port
-- @phases rewrite, access, response, header_filter, body_filter, log
-- @treturn number
function _M.get_forwarded_port()
  check(REQUEST, "kong.request.get_forwarded_port")
  local port = to_port(trusted_header("X-Forwarded-Port"))
  if port then
    return port
  end

  local host = trusted_header("X-Forwarded-Host")
  if host then
    local _, text = split_host(host)
    port = to_port(text)
  end
  return port or tonumber(var.server_port)
end


--- As `get_path`, or X-Forwarded-Path.
-- @function kong.request.get_forwarded_path
-- @phases rewrite, access, response, header_filter, body_filter, log
-- @treturn string
function _M.get_forwarded_path()
  check(REQUEST, "kong.request.get_forwarded_path")
  return trusted_header("X-Forwarded-Path") or path()
end


--- The prefix that the router strips from the path, or X-Forwarded-Prefix.
-- @function kong.request.get_forwarded_prefix
-- @phases rewrite, access, response, header_filter, body_filter, log
-- @treturn string|nil
function _M.get_forwarded_prefix()
  check(REQUEST, "kong.request.get_forwarded_prefix")
  return trusted_header("X-Forwarded-Prefix") or ngx.ctx.stripped_prefix
end


return _M
