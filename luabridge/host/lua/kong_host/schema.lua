--- Checks decoded JSON against rules. The first problem is reported by key
-- path and value, e.g. `routes[2].plugins[1].name: expected string, got 7`.
-- Array positions count from 1.
--
-- A rule is a table:
--   type      "string", "boolean", "integer", "object", "array" or "record"
--   required  the key must be there
--   default   value of an absent key; not checked
--   one_of    list of allowed values
--   min, max  bounds of an integer
--   check     function of the value, returns what is wrong or nil
--   elements  rule for the items of an array
--   fields    rules by key of a record; other keys are errors
-- JSON null counts as absent.


local json = require "kong_host.json"


local concat = table.concat
local floor = math.floor
local getmetatable = getmetatable
local ipairs = ipairs
local null = json.null
local pairs = pairs
local sort = table.sort
local sub = string.sub
local type = type


local MAX_SHOWN = 80


local validate


local function show(value)
  local text = json.encode(value)
  return #text > MAX_SHOWN and sub(text, 1, MAX_SHOWN) .. "..." or text
end


local function locate(path)
  return path == "" and "" or path .. ": "
end


local function is_array(value)
  return type(value) == "table" and getmetatable(value) == json.array_mt
end


local TYPES = {
  string = function(value) return type(value) == "string" end,
  boolean = function(value) return type(value) == "boolean" end,
  integer = function(value)
    return type(value) == "number" and floor(value) == value
  end,
  array = is_array,
  object = function(value)
    return type(value) == "table" and not is_array(value)
  end,
}
TYPES.record = TYPES.object


local NAMES = { record = "object" }


local function sorted_keys(object)
  local keys = {}
  for key in pairs(object) do
    keys[#keys + 1] = key
  end
  sort(keys)
  return keys
end


local function validate_record(rule, record, path)
  local prefix = path == "" and "" or path .. "."

  for _, key in ipairs(sorted_keys(record)) do
    if not rule.fields[key] then
      return prefix .. key .. ": unknown key, its value is " ..
             show(record[key])
    end
  end

  for _, key in ipairs(sorted_keys(rule.fields)) do
    local field = rule.fields[key]
    if record[key] == null then
      record[key] = nil
    end

    if record[key] == nil then
      if field.required then
        return prefix .. key .. ": required, but missing in " .. show(record)
      end
      record[key] = field.default
    else
      local err = validate(field, record[key], prefix .. key)
      if err then
        return err
      end
    end
  end
end


local function validate_elements(rule, array, path)
  for i, item in ipairs(array) do
    local err = validate(rule.elements, item, path .. "[" .. i .. "]")
    if err then
      return err
    end
  end
end


local function validate_value(rule, value)
  if rule.min and value < rule.min or rule.max and value > rule.max then
    return "expected " .. rule.min .. " to " .. rule.max
  end

  if rule.one_of then
    for _, allowed in ipairs(rule.one_of) do
      if value == allowed then
        return nil
      end
    end
    return "expected one of " .. concat(rule.one_of, ", ")
  end

  return rule.check and rule.check(value)
end


--- Checks a value and fills in the defaults of records.
-- @tparam table rule
-- @param value as decoded by `kong_host.json`
-- @tparam string path of the value; "" for the whole document
-- @treturn nil|string what is wrong
function validate(rule, value, path)
  if not TYPES[rule.type](value) then
    return locate(path) .. "expected " .. (NAMES[rule.type] or rule.type) ..
           ", got " .. show(value)
  end

  local err = validate_value(rule, value)
  if err then
    return locate(path) .. err .. ", got " .. show(value)
  end

  if rule.type == "record" then
    return validate_record(rule, value, path)
  end

  if rule.type == "array" then
    return validate_elements(rule, value, path)
  end
end


return { validate = validate, show = show }
