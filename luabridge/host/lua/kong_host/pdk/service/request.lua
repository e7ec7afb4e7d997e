--- `kong.service.request`: changes to the request before it is sent on.
-- @module kong.service.request


local body_codec = require "kong_host.body_codec"
local METHODS = require "kong_host.methods"
local headers = require "kong_host.headers"
local phase_check = require "kong_host.phase_check"
local uri = require "kong_host.uri"


local byte = string.byte
local concat = table.concat
local encode_form = body_codec.encode_form
local error = error
local escape = uri.escape
local gmatch = string.gmatch
local insert = table.insert
local lower = string.lower
local match = string.match
local ngx = ngx
local normalize = headers.normalize
local pairs = pairs
local req = ngx.req
local type = type
local unescape = ngx.unescape_uri
local validate = headers.validate
local validate_all = headers.validate_all
local var = ngx.var


local check = phase_check.check
local REWRITE_ACCESS = phase_check.REWRITE_ACCESS
local REWRITE_ACCESS_BALANCER = phase_check.REWRITE_ACCESS_BALANCER


local SLASH = byte("/")


local _M = {}


-- nginx sends $upstream_host as Host, whatever the request header says.
local function keep_host(name, value)
  if lower(name) == "host" then
    var.upstream_host = type(value) == "table" and value[1] or value
  end
end


--- @function kong.service.request.set_scheme
-- @phases rewrite, access, balancer
-- @tparam string scheme "http" or "https"
function _M.set_scheme(scheme)
  check(REWRITE_ACCESS_BALANCER, "kong.service.request.set_scheme")
  if type(scheme) ~= "string" then
    error("scheme must be a string", 2)
  elseif scheme ~= "http" and scheme ~= "https" then
    error("invalid scheme: " .. scheme, 2)
  end

  var.upstream_scheme = scheme
end


--- @function kong.service.request.set_path
-- @phases rewrite, access, balancer
-- @tparam string path starts with /, without query
function _M.set_path(path)
  check(REWRITE_ACCESS_BALANCER, "kong.service.request.set_path")
  if type(path) ~= "string" then
    error("path must be a string", 2)
  elseif byte(path) ~= SLASH then
    error("path must start with /", 2)
  end

  var.upstream_uri = escape(path)
end


--- @function kong.service.request.set_raw_query
-- @phases rewrite, access
-- @tparam string query without question mark
function _M.set_raw_query(query)
  check(REWRITE_ACCESS, "kong.service.request.set_raw_query")
  if type(query) ~= "string" then
    error("query must be a string", 2)
  end

  req.set_uri_args(query)
end


--- @function kong.service.request.set_query
-- @phases rewrite, access
-- @tparam table args values by name: string, number, boolean or array of such
function _M.set_query(args)
  check(REWRITE_ACCESS, "kong.service.request.set_query")
  if type(args) ~= "table" then
    error("args must be a table", 2)
  end

  local query, err = encode_form(args)
  if not query then
    error(err, 2)
  end

  req.set_uri_args(query)
end


--- Takes an argument out of the query, with all its values.
-- @function kong.service.request.clear_query_arg
-- @phases rewrite, access
-- @tparam string name
function _M.clear_query_arg(name)
  check(REWRITE_ACCESS, "kong.service.request.clear_query_arg")
  if type(name) ~= "string" then
    error("query argument name must be a string", 2)
  end

  local kept = {}
  for arg in gmatch(var.args or "", "[^&]+") do
    if unescape(match(arg, "^[^=]*")) ~= name then
      kept[#kept + 1] = arg
    end
  end
  req.set_uri_args(concat(kept, "&"))
end


--- @function kong.service.request.set_method
-- @phases rewrite, access
-- @tparam string method in upper case
function _M.set_method(method)
  check(REWRITE_ACCESS, "kong.service.request.set_method")
  if type(method) ~= "string" then
    error("method must be a string", 2)
  end

  local id = METHODS[method]
  if not id then
    error("invalid method: " .. method, 2)
  end

  req.set_method(id)
end


--- Replaces a header.
-- @function kong.service.request.set_header
-- @phases rewrite, access, balancer
-- @tparam string name
-- @param value string, number, boolean or array of strings
-- @treturn nil
-- @treturn nil|string error, only for the pseudo-header :authority
function _M.set_header(name, value)
  check(REWRITE_ACCESS_BALANCER, "kong.service.request.set_header")
  validate(name, value)

  if lower(name) == ":authority" then
    return nil, "cannot set :authority pseudo-header on non-grpc requests"
  end

  keep_host(name, value)
  req.set_header(name, normalize(value))
end


--- Adds a header beside those of the same name.
-- @function kong.service.request.add_header
-- @phases rewrite, access
-- @tparam string name
-- @param value string, number, boolean or array of strings
function _M.add_header(name, value)
  check(REWRITE_ACCESS, "kong.service.request.add_header")
  validate(name, value)
  keep_host(name, value)

  local values = req.get_headers()[name]
  if type(values) ~= "table" then
    values = { values }
  end

  value = normalize(value)
  if type(value) == "table" then
    for i = 1, #value do
      insert(values, value[i])
    end
  else
    insert(values, value)
  end

  req.set_header(name, values)
end


--- Removes all headers of a name.
-- @function kong.service.request.clear_header
-- @phases rewrite, access
-- @tparam string name
function _M.clear_header(name)
  check(REWRITE_ACCESS, "kong.service.request.clear_header")
  if type(name) ~= "string" then
    error("header must be a string", 2)
  end

  req.clear_header(name)
end


--- Replaces several headers. An empty array removes the header.
-- @function kong.service.request.set_headers
-- @phases rewrite, access
-- @tparam table values by name
function _M.set_headers(values)
  check(REWRITE_ACCESS, "kong.service.request.set_headers")
  validate_all(values)

  for name, value in pairs(values) do
    keep_host(name, value)
    req.set_header(name, normalize(value))
  end
end


--- Replaces the body.
-- @function kong.service.request.set_raw_body
-- @phases rewrite, access, balancer
-- @tparam string body
function _M.set_raw_body(body)
  check(REWRITE_ACCESS_BALANCER, "kong.service.request.set_raw_body")
  if type(body) ~= "string" then
    error("body must be a string", 2)
  end

  req.read_body()
  req.set_body_data(body)
end


--- Replaces the body by an encoded table, and Content-Type with it.
-- @function kong.service.request.set_body
-- @phases rewrite, access
-- @tparam table args
-- @tparam[opt] string mimetype instead of the request's Content-Type
-- @treturn boolean|nil true
-- @treturn nil|string error
function _M.set_body(args, mimetype)
  check(REWRITE_ACCESS, "kong.service.request.set_body")
  if type(args) ~= "table" then
    error("args must be a table", 2)
  elseif mimetype ~= nil and type(mimetype) ~= "string" then
    error("mime must be a string", 2)
  end

  mimetype = mimetype or kong.request.get_header("Content-Type")
  if not mimetype then
    return nil, "content type was neither explicitly given as an argument " ..
                "or received as a header"
  elseif not body_codec.kind(mimetype) then
    error("unsupported content type " .. mimetype, 2)
  end

  local body, content_type = body_codec.encode(args, mimetype)
  if not body then
    return nil, content_type
  end

  req.read_body()
  req.set_body_data(body)
  req.set_header("Content-Type", content_type)
  return true
end


--- Takes in the whole response before any of it is sent on, so that its body
-- can be read.
-- @function kong.service.request.enable_buffering
-- @phases rewrite, access, balancer
function _M.enable_buffering()
  check(REWRITE_ACCESS_BALANCER, "kong.service.request.enable_buffering")
  ngx.ctx.buffered_proxying = true
end


return _M
