--- `kong.request`: what the client asked for.
-- @module kong.request


local body_codec = require "kong_host.body_codec"
local client_request = require "kong_host.client_request"
local headers = require "kong_host.headers"
local json = require "kong_host.json"
local phase_check = require "kong_host.phase_check"
local request_body = require "kong_host.pdk.request_body"
local request_forwarded = require "kong_host.pdk.request_forwarded"


local error = error
local ngx = ngx
local pairs = pairs
local req = ngx.req
local setmetatable = setmetatable
local tonumber = tonumber
local type = type
local validate_max = headers.validate_max
local var = ngx.var


local check = phase_check.check
local check_not = phase_check.check_not
local REQUEST = phase_check.REQUEST
local BODY = phase_check.BODY
local INIT_WORKER = phase_check.PHASES.init_worker


local MIN_ARGS = 1
local MAX_ARGS = 1000


local _M = {
  get_forwarded_host = request_forwarded.get_forwarded_host,
  get_forwarded_path = request_forwarded.get_forwarded_path,
  get_forwarded_port = request_forwarded.get_forwarded_port,
  get_forwarded_prefix = request_forwarded.get_forwarded_prefix,
  get_forwarded_scheme = request_forwarded.get_forwarded_scheme,
  get_raw_body = request_body.get_raw_body,
}


-- Raises at the caller's caller.
local function validate_max_args(max_args)
  if type(max_args) ~= "number" then
    error("max_args must be a number", 3)
  elseif max_args < MIN_ARGS then
    error("max_args must be >= " .. MIN_ARGS, 3)
  elseif max_args > MAX_ARGS then
    error("max_args must be <= " .. MAX_ARGS, 3)
  end
end


--- @function kong.request.get_scheme
-- @phases rewrite, access, response, header_filter, body_filter, log
-- @treturn string "http" or "https"
function _M.get_scheme()
  check(REQUEST, "kong.request.get_scheme")
  return var.scheme
end


--- @function kong.request.get_host
-- @phases rewrite, access, response, header_filter, body_filter, log
-- @treturn string in lower case, without port
function _M.get_host()
  check(REQUEST, "kong.request.get_host")
  return var.host
end


--- @function kong.request.get_port
-- @phases all but init_worker
-- @treturn number
function _M.get_port()
  check_not(INIT_WORKER, "kong.request.get_port")
  return tonumber(var.server_port)
end


--- @function kong.request.get_http_version
-- @phases rewrite, access, response, header_filter, body_filter, log
-- @treturn number|nil 1, 1.1, 2
function _M.get_http_version()
  check(REQUEST, "kong.request.get_http_version")
  return req.http_version()
end


--- @function kong.request.get_method
-- @phases rewrite, access, response, header_filter, body_filter, log
-- @treturn string in upper case
function _M.get_method()
  check(REQUEST, "kong.request.get_method")
  return req.get_method()
end


--- @function kong.request.get_path
-- @phases rewrite, access, response, header_filter, body_filter, log
-- @treturn string normalised, without query
function _M.get_path()
  check(REQUEST, "kong.request.get_path")
  return client_request.path()
end


--- @function kong.request.get_raw_path
-- @phases rewrite, access, response, header_filter, body_filter, log
-- @treturn string as sent, without query
function _M.get_raw_path()
  check(REQUEST, "kong.request.get_raw_path")
  return client_request.raw_path()
end


--- @function kong.request.get_path_with_query
-- @phases rewrite, access, response, header_filter, body_filter, log
-- @treturn string as sent
function _M.get_path_with_query()
  check(REQUEST, "kong.request.get_path_with_query")
  return var.request_uri or ""
end


--- @function kong.request.get_raw_query
-- @phases rewrite, access, response, header_filter, body_filter, log
-- @treturn string without question mark; "" if there is none
function _M.get_raw_query()
  check(REQUEST, "kong.request.get_raw_query")
  return var.args or ""
end


--- @function kong.request.get_query_arg
-- @phases rewrite, access, response, header_filter, body_filter, log
-- @tparam string name
-- @treturn string|boolean|nil the first value; true if it has none (`?a`)
function _M.get_query_arg(name)
  check(REQUEST, "kong.request.get_query_arg")
  if type(name) ~= "string" then
    error("query argument name must be a string", 2)
  end

  local value = req.get_uri_args()[name]
  if type(value) == "table" then
    return value[1]
  end
  return value
end


--- @function kong.request.get_query
-- @phases rewrite, access, response, header_filter, body_filter, log
-- @tparam[opt=100] number max_args 1 to 1000
-- @treturn table values by name; an array where a name is repeated
-- @treturn nil|string "truncated"
function _M.get_query(max_args)
  check(REQUEST, "kong.request.get_query")
  if max_args ~= nil then
    validate_max_args(max_args)
  end

  return req.get_uri_args(max_args)
end


--- @function kong.request.get_header
-- @phases rewrite, access, response, header_filter, body_filter, log
-- @tparam string name in any case, with dashes or underscores
-- @treturn string|nil the first value
function _M.get_header(name)
  check(REQUEST, "kong.request.get_header")
  if type(name) ~= "string" then
    error("header name must be a string", 2)
  end

  return client_request.header(name)
end


--- @function kong.request.get_headers
-- @phases rewrite, access, response, header_filter, body_filter, log
-- @tparam[opt=100] number max_headers 1 to 1000
-- @treturn table values by name in lower case; an array where a name is
-- repeated. Other spellings of a name can be looked up.
-- @treturn nil|string "truncated"
function _M.get_headers(max_headers)
  check(REQUEST, "kong.request.get_headers")
  if max_headers == nil then
    return req.get_headers()
  end

  validate_max(max_headers)
  return req.get_headers(max_headers)
end


--- The body as a table.
-- @function kong.request.get_body
-- @phases rewrite, access, response
-- @tparam[opt] string mimetype instead of Content-Type
-- @tparam[opt=100] number max_args of a form, 1 to 1000
-- @tparam[opt] number max_allowed_file_size as for get_raw_body
-- @treturn table|nil
-- @treturn nil|string error
-- @treturn string|nil the content type it was taken for
function _M.get_body(mimetype, max_args, max_allowed_file_size)
  check(BODY, "kong.request.get_body")
  if max_args ~= nil then
    validate_max_args(max_args)
  end

  return body_codec.decode(mimetype or client_request.header("Content-Type"),
    function()
      return request_body.get_raw_body(max_allowed_file_size)
    end, max_args)
end


--- @function kong.request.get_start_time
-- @phases rewrite, access, response, header_filter, body_filter, log
-- @treturn number Unix time in milliseconds
function _M.get_start_time()
  check(REQUEST, "kong.request.get_start_time")
  return req.start_time() * 1000
end


--- This host's router has plain prefixes only, so nothing is ever captured
-- unless a plugin has put captures into `ngx.ctx.router_matches`.
-- @function kong.request.get_uri_captures
-- @phases rewrite, access, response, header_filter, body_filter, log
-- @tparam[opt] table ctx instead of `ngx.ctx`
-- @treturn table `{ named, unnamed }`
function _M.get_uri_captures(ctx)
  check(REQUEST, "kong.request.get_uri_captures")
  local matches = (ctx or ngx.ctx).router_matches
  local captures = { named = {}, unnamed = setmetatable({}, json.array_mt) }

  for key, value in pairs(matches and matches.uri_captures or {}) do
    captures[type(key) == "number" and "unnamed" or "named"][key] = value
  end

  return captures
end


return _M
