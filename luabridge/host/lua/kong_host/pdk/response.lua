--- `kong.response`: what the client will get.
-- @module kong.response


local add_resp_header = require("ngx.resp").add_header
local headers = require "kong_host.headers"
local phase_check = require "kong_host.phase_check"
local response_exit = require "kong_host.pdk.response_exit"


local error = error
local get_headers = ngx.resp.get_headers
local lower = string.lower
local ngx = ngx
local normalize = headers.normalize
local pairs = pairs
local type = type
local validate = headers.validate
local validate_all = headers.validate_all
local validate_max = headers.validate_max


local check = phase_check.check
local READ = phase_check.RESPONSE_READ
local WRITE = phase_check.RESPONSE_WRITE


local MIN_STATUS = 100
local MAX_STATUS = 599


local _M = {
  exit = response_exit.exit,
  error = response_exit.error,
}


local function set(name, value)
  local folded = lower(name)
  if folded == "transfer-encoding" or folded == "transfer_encoding" then
    kong.log.warn("Transfer-Encoding is set by nginx alone. Ignored.")
    return
  end

  ngx.header[name] = normalize(value)
end


-- Raises at the caller's caller.
local function check_unsent()
  if ngx.headers_sent then
    error("headers have already been sent", 3)
  end
end


--- @function kong.response.get_status
-- @phases response, header_filter, body_filter, log
-- @treturn number
function _M.get_status()
  check(READ, "kong.response.get_status")
  return ngx.status
end


--- @function kong.response.get_header
-- @phases response, header_filter, body_filter, log
-- @tparam string name in any case, with dashes or underscores
-- @treturn string|nil the first value
function _M.get_header(name)
  check(READ, "kong.response.get_header")
  if type(name) ~= "string" then
    error("header name must be a string", 2)
  end

  local value = get_headers()[name]
  if type(value) == "table" then
    return value[1]
  end
  return value
end


--- @function kong.response.get_headers
-- @phases response, header_filter, body_filter, log
-- @tparam[opt=100] number max_headers 1 to 1000
-- @treturn table values by name in lower case; an array where a name is
-- repeated
-- @treturn nil|string "truncated"
function _M.get_headers(max_headers)
  check(READ, "kong.response.get_headers")
  if max_headers == nil then
    return get_headers()
  end

  validate_max(max_headers)
  return get_headers(max_headers)
end


--- Who made the response.
-- @function kong.response.get_source
-- @phases response, header_filter, body_filter, log
-- @tparam[opt] table ctx instead of `ngx.ctx`; then in any phase
-- @treturn string "service", "exit" (a plugin) or "error" (the gateway)
function _M.get_source(ctx)
  if ctx == nil then
    check(READ, "kong.response.get_source")
    ctx = ngx.ctx
  end

  if ctx.KONG_UNEXPECTED then
    return "error"
  elseif ctx.KONG_EXITED then
    return "exit"
  elseif ctx.KONG_PROXIED then
    return "service"
  end
  return "error"
end


--- @function kong.response.set_status
-- @phases rewrite, access, response, header_filter
-- @tparam number status 100 to 599
function _M.set_status(status)
  check(WRITE, "kong.response.set_status")
  check_unsent()

  if type(status) ~= "number" then
    error("code must be a number", 2)
  elseif status < MIN_STATUS or status > MAX_STATUS then
    error("code must be a number between 100 and 599", 2)
  end

  ngx.status = status
end


--- Replaces a header.
-- @function kong.response.set_header
-- @phases rewrite, access, response, header_filter
-- @tparam string name
-- @param value string, number, boolean or array of strings
function _M.set_header(name, value)
  check(WRITE, "kong.response.set_header")
  check_unsent()
  validate(name, value)
  set(name, value)
end


--- Adds a header beside those of the same name.
-- @function kong.response.add_header
-- @phases rewrite, access, response, header_filter
-- @tparam string name
-- @param value string, number, boolean or array of strings
function _M.add_header(name, value)
  check(WRITE, "kong.response.add_header")
  check_unsent()
  validate(name, value)
  add_resp_header(name, normalize(value))
end


--- Removes all headers of a name.
-- @function kong.response.clear_header
-- @phases rewrite, access, response, header_filter
-- @tparam string name
function _M.clear_header(name)
  check(WRITE, "kong.response.clear_header")
  check_unsent()
  if type(name) ~= "string" then
    error("header name must be a string", 2)
  end

  ngx.header[name] = nil
end


--- Replaces several headers. An empty array removes the header.
-- @function kong.response.set_headers
-- @phases rewrite, access, response, header_filter
-- @tparam table values by name
function _M.set_headers(values)
  check(WRITE, "kong.response.set_headers")
  check_unsent()
  validate_all(values)

  for name, value in pairs(values) do
    set(name, value)
  end
end


return _M
