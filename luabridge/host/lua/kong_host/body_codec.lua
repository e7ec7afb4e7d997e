--- Bodies as tables: what `get_body` of a request or response gives, and what
-- `kong.service.request.set_body` takes.
--
-- Known are application/x-www-form-urlencoded, application/json and
-- multipart/form-data, the latter without files.


local json = require "kong_host.json"


local concat = table.concat
local decode_args = ngx.decode_args
local encode_args = ngx.encode_args
local find = string.find
local fmt = string.format
local gsub = string.gsub
local ipairs = ipairs
local lower = string.lower
local match = string.match
local pairs = pairs
local pcall = pcall
local sort = table.sort
local sub = string.sub
local tostring = tostring
local type = type


local MAX_ARGS = 100
local FORM = "application/x-www-form-urlencoded"
local JSON = "application/json"
local MULTIPART = "multipart/form-data"


local _M = { FORM = FORM, JSON = JSON, MULTIPART = MULTIPART }


local function boundary_of(content_type)
  return match(content_type, ';%s*boundary="([^"]+)"') or
         match(content_type, ";%s*boundary=([^;%s]+)")
end


-- Adds a value to a table of values, which become an array where a name is
-- repeated.
local function add(values, name, value)
  local before = values[name]
  if before == nil then
    values[name] = value
  elseif type(before) == "table" then
    before[#before + 1] = value
  else
    values[name] = { before, value }
  end
end


local function decode_multipart(body, content_type)
  local boundary = boundary_of(content_type)
  if not boundary then
    return nil, "missing boundary"
  end

  local delimiter = "--" .. boundary
  local values = {}
  local _, at = find(body, delimiter, 1, true)
  while at and sub(body, at + 1, at + 2) == "\r\n" do
    local stop, next_at = find(body, "\r\n" .. delimiter, at + 1, true)
    local head_end, value_start = find(body, "\r\n\r\n", at + 1, true)
    if not stop or not head_end or head_end > stop then
      return nil, "malformed multipart body"
    end
    local name = match(sub(body, at + 1, head_end), '[; ]name="([^"]*)"')
    if name then
      add(values, name, sub(body, value_start + 1, stop - 1))
    end
    at = next_at
  end
  return values
end


--- @tparam string content_type
-- @treturn string|nil the one of FORM, JSON and MULTIPART that it is
function _M.kind(content_type)
  local folded = lower(content_type)
  for _, kind in pairs({ FORM, JSON, MULTIPART }) do
    if find(folded, kind, 1, true) == 1 then
      return kind
    end
  end
end


--- @tparam string|nil content_type
-- @tparam function get gives the body, or nil and why there is none
-- @tparam[opt] number max_args of a form, 1 to 1000
-- @return the table; nil where there is none
-- @treturn nil|string why
-- @treturn string|nil the content type it was taken for
function _M.decode(content_type, get, max_args)
  if not content_type then
    return nil, "missing content type"
  end

  local kind = _M.kind(content_type)
  if not kind then
    return nil, fmt("unsupported content type '%s'", content_type), content_type
  end

  local body, err = get()
  if not body then
    return nil, err, kind
  end

  if kind == FORM then
    return decode_args(body, max_args or MAX_ARGS), nil, kind
  elseif kind == JSON then
    local ok, value = pcall(json.decode, body)
    if not ok or type(value) ~= "table" then
      return nil, "invalid json body", kind
    end
    return value, nil, kind
  end

  local values
  values, err = decode_multipart(body, content_type)
  return values, err, kind
end


-- Each argument is encoded alone, so that the result can be sorted by name.
local function encode_form(args)
  local parts = {}
  for name, value in pairs(args) do
    if type(name) ~= "string" then
      return nil, "arg keys must be strings"
    end

    local ok, text = pcall(encode_args, { [name] = value })
    if not ok then
      return nil, text
    end
    parts[#parts + 1] = text
  end

  sort(parts)
  return concat(parts, "&")
end
_M.encode_form = encode_form


local function encode_multipart(args, boundary)
  local names = {}
  for name, value in pairs(args) do
    local kind = type(value)
    if type(name) ~= "string" then
      return nil, "arg keys must be strings"
    elseif kind ~= "string" and kind ~= "number" and kind ~= "boolean" then
      return nil, fmt("invalid value %q: got %s, expected string, number or " ..
                      "boolean", name, kind)
    end
    names[#names + 1] = name
  end

  sort(names)
  local parts = {}
  for i, name in ipairs(names) do
    parts[i] = "--" .. boundary .. "\r\nContent-Disposition: form-data; " ..
               'name="' .. gsub(name, '"', "%%22") .. '"\r\n\r\n' ..
               tostring(args[name]) .. "\r\n"
  end
  return concat(parts) .. "--" .. boundary .. "--\r\n"
end


--- @tparam table args
-- @tparam string content_type one that has a kind
-- @treturn string|nil the body
-- @treturn string error where there is none, else the content type
function _M.encode(args, content_type)
  local kind = _M.kind(content_type)
  if kind == FORM then
    local body, err = encode_form(args)
    return body, err or content_type
  elseif kind == JSON then
    local ok, text = pcall(json.encode, args)
    if not ok then
      return nil, text
    end
    return text, content_type
  end

  local boundary = boundary_of(content_type)
  if not boundary then
    boundary = "kong-host-boundary"
    content_type = MULTIPART .. "; boundary=" .. boundary
  end
  local body, err = encode_multipart(args, boundary)
  return body, err or content_type
end


return _M
