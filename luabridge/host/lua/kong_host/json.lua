--- JSON that keeps empty arrays apart from empty objects.
--
-- OpenResty's lua-cjson marks arrays with a metatable (`array_mt`) and so
-- writes an empty one back as `[]`; the original lua-cjson, which Debian
-- ships, writes `{}`. Plugins see Kong's configuration through the former, so
-- this module adds its names to the latter: `array_mt`, `empty_array_mt`,
-- `empty_array`, and an `encode` that honours them.


local cjson = require "cjson"


local concat = table.concat
local error = error
local find = string.find
local getmetatable = getmetatable
local ipairs = ipairs
local next = next
local pairs = pairs
local pcall = pcall
local require = require
local re_gsub = ngx.re.gsub
local setmetatable = setmetatable
local tostring = tostring
local type = type


local native_encode = cjson.encode
local native_decode = cjson.decode
local array_mt = cjson.array_mt or {}


local EMPTY = "kong_host: empty array"


-- A string, or an empty array outside of any string. Possessive, so that long
-- strings need no backtracking stack.
local STRING_OR_EMPTY = [=["(?:[^"\\]++|\\.)*+"|\[\s*+\]]=]


-- native_encode reports what is nested deeper than this.
local MAX_DEPTH = 1000


local function mark_empty(match)
  return find(match[0], "[", 1, true) == 1 and '["' .. EMPTY .. '"]'
         or match[0]
end


-- JSON object keys are strings, so only an array has an element 1.
local function restore_arrays(value)
  if value[1] ~= nil then
    if value[1] == EMPTY and value[2] == nil then
      value[1] = nil
    end
    setmetatable(value, array_mt)
  end

  for _, item in pairs(value) do
    if type(item) == "table" then
      restore_arrays(item)
    end
  end
end


local function is_empty_array(value)
  return next(value) == nil and getmetatable(value) == array_mt
end


local function contains_empty_array(value, depth)
  if is_empty_array(value) then
    return true
  end

  if depth > MAX_DEPTH then
    return false
  end

  for _, item in pairs(value) do
    if type(item) == "table" and contains_empty_array(item, depth + 1) then
      return true
    end
  end

  return false
end


local function write(value)
  if type(value) ~= "table" or not contains_empty_array(value, 1) then
    return native_encode(value)
  end

  if is_empty_array(value) then
    return "[]"
  end

  local parts = {}
  if value[1] ~= nil then
    for i, item in ipairs(value) do
      parts[i] = write(item)
    end
    return "[" .. concat(parts, ",") .. "]"
  end

  for key, item in pairs(value) do
    if type(key) ~= "string" and type(key) ~= "number" then
      error("Cannot serialise table: key must be a number or string", 0)
    end
    parts[#parts + 1] = native_encode(tostring(key)) .. ":" .. write(item)
  end
  return "{" .. concat(parts, ",") .. "}"
end


local function safe_write(value)
  local ok, text = pcall(write, value)
  if not ok then
    return nil, text
  end
  return text
end


local _M = { array_mt = array_mt, null = cjson.null }


--- Decodes; arrays carry `array_mt`.
-- @tparam string text
-- @return the value, or nil and an error
function _M.decode(text)
  local marked, _, err = re_gsub(text, STRING_OR_EMPTY, mark_empty, "jos")
  if not marked then
    return nil, err
  end

  local ok, value = pcall(native_decode, marked)
  if not ok then
    -- The marks have moved the position in the message: ask again without.
    ok, err = pcall(native_decode, text)
    return nil, ok and tostring(value) or tostring(err)
  end

  if type(value) == "table" then
    restore_arrays(value)
  end

  return value
end


_M.encode = cjson.array_mt and native_encode or write


--- Adds the names of OpenResty's lua-cjson where they are missing. To be
-- called once, before any plugin is loaded.
function _M.install()
  if cjson.array_mt then
    return
  end

  for _, name in ipairs({ "cjson", "cjson.safe" }) do
    local module = require(name)
    module.array_mt = array_mt
    module.empty_array_mt = array_mt
    module.empty_array = setmetatable({}, array_mt)
    module.encode = name == "cjson" and write or safe_write
  end
end


return _M
