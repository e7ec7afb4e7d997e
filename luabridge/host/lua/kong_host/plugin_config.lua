--- Checks a plugin entity's config against the plugin's schema, the module
-- `kong.plugins.NAME.schema`, and completes it as Kong does: defaults, records
-- that nobody set, and null for what is still not there.
--
-- Of Kong's attributes these are known: type, required, default, one_of,
-- between, len_min, elements, keys, values, fields. Others let everything pass.


local json = require "kong_host.json"


local concat = table.concat
local floor = math.floor
local fmt = string.format
local ipairs = ipairs
local next = next
local null = json.null
local pairs = pairs
local require = require
local searchpath = package.searchpath
local setmetatable = setmetatable
local tostring = tostring
local type = type


local check -- a value against a declaration


local function is_number(v) return type(v) == "number" end
local function is_table(v) return type(v) == "table" end


local TYPES = {
  string = function(v) return type(v) == "string" end,
  boolean = function(v) return type(v) == "boolean" end,
  number = is_number,
  integer = function(v) return is_number(v) and floor(v) == v end,
  array = is_table,
  set = is_table,
  map = is_table,
  record = is_table,
}


local function check_all(d, values, path)
  for key, v in pairs(values) do
    local at = path .. "." .. tostring(key)
    local _, err
    if d.keys then
      _, err = check(d.keys, key, at)
    end
    if not err then
      values[key], err = check(d.elements or d.values or {}, v, at)
    end
    if err then
      return err
    end
  end
end


local function check_record(d, record, path)
  local known = {}
  for _, item in ipairs(d.fields) do
    local name, field = next(item)
    local err
    known[name] = true
    record[name], err = check(field, record[name], path .. "." .. name)
    if err then
      return err
    end
  end
  for name in pairs(record) do
    if not known[name] then
      return path .. "." .. name .. ": unknown field"
    end
  end
end


local function check_bounds(d, v)
  if d.one_of then
    for _, allowed in ipairs(d.one_of) do
      if v == allowed then
        return nil
      end
    end
    return "expected one of: " .. concat(d.one_of, ", ")
  end
  if d.between and not (v >= d.between[1] and v <= d.between[2]) then
    return fmt("value should be between %s and %s", d.between[1], d.between[2])
  end
  if d.len_min and #v < d.len_min then
    return "length must be at least " .. d.len_min
  end
end


-- @return the value, completed
-- @treturn nil|string what is wrong with it
function check(d, v, path)
  if v == nil or v == null then
    v = d.default
    if v == nil and d.type == "record" then -- Kong makes all of them required
      v = {}
    end
  end
  if v == nil then
    return null, d.required and path .. ": required field missing" or nil
  end
  local is = TYPES[d.type]
  if is and not is(v) then
    return v, path .. ": expected " .. d.type
  end
  local err = check_bounds(d, v)
  if err then
    return v, path .. ": " .. err
  end
  if d.type == "record" then
    return v, check_record(d, v, path)
  end
  if d.type == "array" or d.type == "set" then
    setmetatable(v, json.array_mt) -- one of the schema's defaults has none
  end
  if is == is_table then
    return v, check_all(d, v, path)
  end
  return v
end


local _M = {}


--- @tparam string name of the plugin
-- @tparam table|nil config of an entity
-- @treturn table the config, completed where the plugin has a schema
-- @treturn nil|string what is wrong, with the path of the field
function _M.complete(name, config)
  config = config or {}
  local module = fmt("kong.plugins.%s.schema", name)
  if not searchpath(module, package.path) then
    return config -- a plugin of a test, which takes what it gets
  end
  for _, item in ipairs(require(module).fields) do
    if item.config then
      return check(item.config, config, "config")
    end
  end
  return config
end


return _M
