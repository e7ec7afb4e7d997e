--- Checks and conversions of header arguments, shared by `kong.response` and
-- `kong.service.request`.


local error = error
local fmt = string.format
local ipairs = ipairs
local pairs = pairs
local tostring = tostring
local type = type


local MIN_HEADERS = 1
local MAX_HEADERS = 1000


local _M = {}


local function problem(name, value)
  if type(name) ~= "string" then
    return fmt("invalid header name %q: got %s, expected string",
               tostring(name), type(name))
  end

  local kind = type(value)
  if kind == "string" or kind == "number" or kind == "boolean" then
    return nil
  end

  if kind ~= "table" then
    return fmt("invalid header value for %q: got %s, expected string, " ..
               "number, boolean or array of strings", name, kind)
  end

  for _, item in ipairs(value) do
    if type(item) ~= "string" then
      return fmt("invalid header value in array %q: got %s, expected string",
                 name, type(item))
    end
  end
end


--- Raises, at the caller's caller, unless name and value can be a header.
-- @tparam string name
-- @param value string, number, boolean or array of strings
function _M.validate(name, value)
  local err = problem(name, value)
  if err then
    error(err, 3)
  end
end


--- The same for a table of headers.
-- @tparam table headers
function _M.validate_all(headers)
  if type(headers) ~= "table" then
    error("headers must be a table", 3)
  end

  for name, value in pairs(headers) do
    local err = problem(name, value)
    if err then
      error(err, 3)
    end
  end
end


--- Converts a validated value to what `ngx.header` and `ngx.req.set_header`
-- take. nginx drops headers with an empty value; Kong sends a space instead.
-- @param value string, number, boolean or array of strings
-- @return string or array of strings
function _M.normalize(value)
  local kind = type(value)
  if kind == "string" then
    return value == "" and " " or value
  end

  if kind == "table" then
    local values = {}
    for i, item in ipairs(value) do
      values[i] = item == "" and " " or item
    end
    return values
  end

  return tostring(value)
end


--- Raises, at the caller's caller, unless `max` is a legal header count.
function _M.validate_max(max)
  if type(max) ~= "number" then
    error("max_headers must be a number", 3)
  elseif max < MIN_HEADERS then
    error("max_headers must be >= " .. MIN_HEADERS, 3)
  elseif max > MAX_HEADERS then
    error("max_headers must be <= " .. MAX_HEADERS, 3)
  end
end


return _M
