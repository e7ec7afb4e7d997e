--- The C helper: loads and stores of shared memory with an order.
--
-- Purpose: finds and loads libkongring.so, which is built from
-- luabridge/helper/kongring.c. LuaJIT itself cannot order memory: it ignores
-- `volatile`, keeps loads out of loops and drops stores. So every word that
-- two processes share is read and written through these functions, and no
-- other module declares or loads them.
--
-- Called by: ring.lua and the modules that wait. Phases: all.
--
-- Use: `local C = require("kongring.helper").C` and call `C.kongring_load(p)`:
-- the namespace has to be a local for LuaJIT to compile the call.
--
--     uint32_t kongring_load(const uint32_t *word)              acquire
--     void     kongring_store(uint32_t *word, uint32_t value)   release
--     uint32_t kongring_exchange(uint32_t *word, uint32_t value)
--     void     kongring_fence(void)                             full fence
--     uint32_t kongring_spin(const uint32_t *word, uint32_t old,
--                            uint32_t ticks)   looks until it is not old
--     double   kongring_ticks(void)            the clock that spin counts in
--
-- The library is looked for at the path in the environment variable
-- KONGRING_HELPER when it is set; else in the folder of this file, then along
-- package.cpath.
--
-- @module kongring.helper


local ffi = require "ffi"
local layout = require "kongring.layout"


local error = error
local pcall = pcall
local getenv = os.getenv
local concat = table.concat


local NAME = "libkongring"


local function places()
  local path = getenv("KONGRING_HELPER")
  if path and path ~= "" then
    return { path }
  end

  local list = {}
  local source = debug.getinfo(1, "S").source
  local folder = source:match("^@(.*/)[^/]*$")
  if folder then
    list[1] = folder .. NAME .. ".so"
  end
  list[#list + 1] = package.searchpath(NAME, package.cpath)
  return list
end


local function open()
  local tried = {}
  for _, path in ipairs(places()) do
    local ok, lib = pcall(ffi.load, path)
    if not ok then
      tried[#tried + 1] = tostring(lib)

    else
      local called, abi = pcall(function() return lib.kongring_abi() end)
      if called and abi == layout.HELPER_ABI then
        return lib, path
      end
      tried[#tried + 1] = path .. ": its version is " ..
                          (called and tostring(abi) or "unknown") ..
                          ", wanted " .. layout.HELPER_ABI
    end
  end

  error("failed to load the C helper of kongring:\n\t" ..
        concat(tried, "\n\t") ..
        "\nBuild it with 'make build', which puts " .. NAME .. ".so beside " ..
        "the Lua modules, or set KONGRING_HELPER to its path", 0)
end


local C, path = open()


local _M = {
  --- The functions above.
  C = C,

  --- Where the library was found.
  path = path,
}


return _M
