--- `kong.log`: writes to nginx's error log, with the place in the source and
-- the name of the plugin.
--
-- A line reads `[kong] <file>:<line> [<plugin>] <message>`.
-- @module kong.log


local errlog = require "ngx.errlog"
local serializer = require "kong_host.pdk.log_serialize"


local concat = table.concat
local get_level = errlog.get_sys_filter_level
local get_phase = ngx.get_phase
local getinfo = debug.getinfo
local match = string.match
local ngx = ngx
local pairs = pairs
local raw_log = errlog.raw_log
local select = select
local setmetatable = setmetatable
local tostring = tostring


local LEVELS = {
  emerg = ngx.EMERG,
  alert = ngx.ALERT,
  crit = ngx.CRIT,
  err = ngx.ERR,
  warn = ngx.WARN,
  notice = ngx.NOTICE,
  info = ngx.INFO,
  debug = ngx.DEBUG,
}


local function join(...)
  local n = select("#", ...)
  if n == 1 then
    return tostring((...))
  end

  local parts = { ... }
  for i = 1, n do
    parts[i] = tostring(parts[i])
  end
  return concat(parts, "", 1, n)
end


-- Level 1 would be this function, 2 the log function, 3 its caller.
local function source()
  local info = getinfo(3, "Sl")
  if not info then
    return "?:?"
  end

  return match(info.short_src, "[^/]*$") .. ":" .. info.currentline
end


local function new_writer(level, namespace)
  return function(...)
    -- While init_by_lua runs, nginx has not applied its level yet.
    if get_phase() ~= "init" and level > get_level() then
      return
    end

    raw_log(level, "[kong] " .. source() .. " " .. namespace .. join(...))
  end
end


local mt = {
  __call = function(self, ...)
    return self.notice(...)
  end,
}


local _M = {}


--- @tparam[opt] string plugin name that stands in each line
-- @treturn table a `kong.log`
function _M.new(plugin)
  local namespace = plugin and "[" .. plugin .. "] " or ""
  local self = {
    serialize = serializer.serialize,
    set_serialize_value = serializer.set_serialize_value,
  }

  for name, level in pairs(LEVELS) do
    self[name] = new_writer(level, namespace)
  end

  return setmetatable(self, mt)
end


return _M
