--- `kong.service.response`: what the service answered.
-- @module kong.service.response


local body_codec = require "kong_host.body_codec"
local headers = require "kong_host.headers"
local phase_check = require "kong_host.phase_check"


local error = error
local getmetatable = getmetatable
local get_headers = ngx.resp.get_headers
local gsub = string.gsub
local lower = string.lower
local ngx = ngx
local pairs = pairs
local setmetatable = setmetatable
local sub = string.sub
local tonumber = tonumber
local type = type
local validate_max = headers.validate_max
local var = ngx.var


local check = phase_check.check
local SERVICE_RESPONSE = phase_check.SERVICE_RESPONSE


local _M = {}


local function fold(name)
  return lower((gsub(name, "_", "-")))
end


-- Looking up a name finds a header only if the service sent it; walking the
-- table shows those of plugins too, as in Kong.
local live_mt = {}
local live_index


function live_mt.__index(self, name)
  if type(name) == "string"
     and not var["upstream_http_" .. gsub(fold(name), "-", "_")]
  then
    return nil
  end

  return live_index(self, name)
end


local function live_headers(max)
  local values, err = get_headers(max)
  live_index = live_index or getmetatable(values).__index
  return setmetatable(values, live_mt), err
end


-- Kong 3.9: a table that answers look-ups but cannot be walked.
local function buffered_headers(values)
  return setmetatable({}, {
    __index = function(_, name)
      if type(name) ~= "string" then
        return nil
      end

      local folded = fold(name)
      for key, value in pairs(values) do
        if fold(key) == folded then
          return value
        end
      end
    end,
  })
end


local function all_headers(max)
  local buffered = ngx.ctx.buffered_headers
  if buffered then
    return buffered_headers(buffered)
  end

  return live_headers(max)
end


--- @function kong.service.response.get_status
-- @phases response, header_filter, body_filter, log
-- @treturn number|nil nil if no service was asked
function _M.get_status()
  check(SERVICE_RESPONSE, "kong.service.response.get_status")
  -- several attempts read "502, 200"
  return ngx.ctx.buffered_status
         or tonumber(sub(var.upstream_status or "", -3))
end


--- @function kong.service.response.get_headers
-- @phases response, header_filter, body_filter, log
-- @tparam[opt=100] number max_headers 1 to 1000
-- @treturn table
-- @treturn nil|string "truncated"
function _M.get_headers(max_headers)
  check(SERVICE_RESPONSE, "kong.service.response.get_headers")
  if max_headers ~= nil then
    validate_max(max_headers)
  end

  return all_headers(max_headers)
end


--- @function kong.service.response.get_header
-- @phases response, header_filter, body_filter, log
-- @tparam string name in any case, with dashes or underscores
-- @treturn string|nil the first value
function _M.get_header(name)
  check(SERVICE_RESPONSE, "kong.service.response.get_header")
  if type(name) ~= "string" then
    error("name must be a string", 2)
  end

  local value = all_headers()[name]
  if type(value) == "table" then
    return value[1]
  end
  return value
end


--- The body, if the response is buffered.
-- @function kong.service.response.get_raw_body
-- @phases response, header_filter, body_filter, log
-- @treturn string
function _M.get_raw_body()
  check(SERVICE_RESPONSE, "kong.service.response.get_raw_body")
  local ctx = ngx.ctx
  if not ctx.buffered_proxying then
    error("service body is only available with buffered proxying (see: " ..
          "kong.service.request.enable_buffering function)", 2)
  end

  return ctx.buffered_body or ""
end


--- The body as a table, if the response is buffered.
-- @function kong.service.response.get_body
-- @phases response, header_filter, body_filter, log
-- @tparam[opt] string mimetype instead of Content-Type
-- @tparam[opt=100] number max_args of a form
-- @treturn table|nil
-- @treturn nil|string error
-- @treturn string|nil the content type it was taken for
function _M.get_body(mimetype, max_args)
  check(SERVICE_RESPONSE, "kong.service.response.get_body")
  local body = _M.get_raw_body()
  return body_codec.decode(mimetype or _M.get_header("Content-Type"),
    function()
      return body
    end, max_args)
end


return _M
