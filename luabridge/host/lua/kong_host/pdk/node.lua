--- `kong.node`: this nginx.
-- @module kong.node


local ffi = require "ffi"
local uuid = require "kong_host.uuid"


local collectgarbage = collectgarbage
local error = error
local floor = math.floor
local fmt = string.format
local ipairs = ipairs
local lower = string.lower
local match = string.match
local pairs = pairs
local shared = ngx.shared
local sort = table.sort
local tonumber = tonumber
local type = type
local worker_pid = ngx.worker.pid


ffi.cdef [[
int kong_host_gethostname(char *name, size_t len) __asm__("gethostname");
]]


local NODE_ID_KEY = "kong:node_id"
local MEMORY_KEY = "kong:mem:"
local MAX_HOSTNAME = 255 -- Linux: HOST_NAME_MAX is 64


local UNITS = {
  k = { "KiB", 2 ^ 10 },
  m = { "MiB", 2 ^ 20 },
  g = { "GiB", 2 ^ 30 },
}


local node_id
local hostname


local _M = {}


-- Bytes as a number, or in another unit as text.
local function new_converter(unit, scale)
  unit = lower(unit or "b")
  scale = scale or 2
  if unit == "b" then
    return floor
  end

  if type(scale) ~= "number" or scale < 0 then
    error("scale must be equal or greater than 0", 3)
  end

  local known = UNITS[unit]
  if not known then
    error("invalid unit '" .. unit .. "' (expected 'k/K', 'm/M', or 'g/G')",
          3)
  end

  local format = "%." .. scale .. "f " .. known[1]
  return function(bytes)
    return fmt(format, bytes / known[2])
  end
end


local function workers(convert)
  local list = {}
  for _, key in ipairs(shared.kong:get_keys()) do
    local pid = match(key, "^" .. MEMORY_KEY .. "(%d+)$")
    if pid then
      list[#list + 1] = {
        pid = tonumber(pid),
        http_allocated_gc = convert(shared.kong:get(key) * 1024),
      }
    end
  end

  sort(list, function(a, b) return a.pid < b.pid end)
  return list
end


--- Notes how much memory the worker's Lua VM uses. Not part of the PDK: Kong
-- does it in a timer, this host when a worker starts and when it is asked.
function _M._note_memory()
  shared.kong:set(MEMORY_KEY .. worker_pid(), collectgarbage("count"))
end


--- Forgets the worker again when it exits. Not part of the PDK.
function _M._forget_memory()
  shared.kong:delete(MEMORY_KEY .. worker_pid())
end


--- @function kong.node.get_id
-- @treturn string the same in all workers, and after a reload
function _M.get_id()
  if not node_id then
    shared.kong:safe_add(NODE_ID_KEY, uuid.random())
    node_id = shared.kong:get(NODE_ID_KEY)
    if not node_id then
      error("no node id in shared dictionary")
    end
  end

  return node_id
end


--- @function kong.node.get_hostname
-- @treturn string
function _M.get_hostname()
  if not hostname then
    local buffer = ffi.new("char[?]", MAX_HOSTNAME + 1)
    if ffi.C.kong_host_gethostname(buffer, MAX_HOSTNAME) ~= 0 then
      return ""
    end
    hostname = ffi.string(buffer)
  end

  return hostname
end


--- @function kong.node.get_memory_stats
-- @tparam[opt="b"] string unit "b", "k", "m" or "g"
-- @tparam[opt=2] number scale digits after the point, not for "b"
-- @treturn table `{ workers_lua_vms, lua_shared_dicts }`
function _M.get_memory_stats(unit, scale)
  local convert = new_converter(unit, scale)
  _M._note_memory()

  local stats = { workers_lua_vms = workers(convert), lua_shared_dicts = {} }
  for name, dict in pairs(shared) do
    local capacity = dict:capacity()
    stats.lua_shared_dicts[name] = {
      capacity = convert(capacity),
      allocated_slabs = convert(capacity - dict:free_space()),
    }
  end

  return stats
end


return _M
