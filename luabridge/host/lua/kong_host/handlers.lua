--- Loads the handler modules of the enabled plugins and checks them as Kong
-- does.


local log = require "kong_host.pdk.log"


local find = string.find
local floor = math.floor
local fmt = string.format
local huge = math.huge
local ipairs = ipairs
local match = string.match
local pcall = pcall
local require = require
local sort = table.sort
local tostring = tostring
local type = type


local function valid_priority(priority)
  return type(priority) == "number" and floor(priority) == priority
         and priority < huge and priority > -huge
end


-- The first run of digits and dots: at most three numbers.
local function clean_version(version)
  if type(version) ~= "string" then
    return nil
  end

  local digits = match(version, "%d[%d.]*")
  if digits and (find(digits, "^%d+$") or find(digits, "^%d+%.%d+$")
                 or find(digits, "^%d+%.%d+%.%d+$"))
  then
    return digits
  end
end


local function check(handler)
  if type(handler) ~= "table" then
    return "expected a table, got " .. type(handler)
  end

  if not valid_priority(handler.PRIORITY) then
    return "expected an integer PRIORITY, got " .. tostring(handler.PRIORITY)
  end

  local version = clean_version(handler.VERSION)
  if not version then
    return "expected a VERSION like 1.2.3, got " .. tostring(handler.VERSION)
  end

  if handler.response and (handler.header_filter or handler.body_filter) then
    return "expected either response, or header_filter and body_filter, " ..
           "got both"
  end

  handler.VERSION = version
end


local function load_one(name)
  local module = fmt("kong.plugins.%s.handler", name)
  local ok, handler = pcall(require, module)
  if not ok then
    return nil, "failed to load " .. module .. ": " .. tostring(handler)
  end

  local err = check(handler)
  if err then
    return nil, module .. ": " .. err
  end

  return handler
end


local _M = {}


--- @tparam table a first plugin, with `name` and `handler`
-- @tparam table b second plugin
-- @treturn boolean whether a runs before b: by PRIORITY, highest first; equal
-- ones by name, last first
function _M.runs_before(a, b)
  local first, second = a.handler.PRIORITY, b.handler.PRIORITY
  if first == second then
    return a.name > b.name
  end
  return first > second
end


--- Loads the handlers of the enabled plugins.
-- @tparam table names array
-- @treturn table|nil array of `{ name, handler, log }`, in the order in which
-- they run
-- @treturn table|string the same by name, or what is wrong
function _M.load(names)
  local plugins, by_name = {}, {}

  for i, name in ipairs(names) do
    if by_name[name] then
      return nil, fmt("plugins[%d]: enabled already, got %q", i, name)
    end

    local handler, err = load_one(name)
    if not handler then
      return nil, fmt("plugins[%d]: %s, got %q", i, err, name)
    end

    local plugin = { name = name, handler = handler, log = log.new(name) }
    plugins[i] = plugin
    by_name[name] = plugin
  end

  sort(plugins, _M.runs_before)
  return plugins, by_name
end


return _M
