--- A session's own counters.
--
-- Purpose: the worker counts in memory of its own, and copies the counters to
-- the segment now and then, where others look at them. They are never read
-- back: LuaJIT takes a NaN for a value of any type, by the bits in it, and the
-- server can write one there.
--
-- Called by: session.lua, session_wait.lua. Phases: all.
--
-- @module kongring.session_counters


local ffi = require "ffi"
local errlog = require "ngx.errlog"


local copy = ffi.copy
local counters_t = ffi.typeof("kongring_worker_counters")
local BYTES = ffi.sizeof(counters_t)


local _M = {}


--- Begins to count.
-- @phases timer
-- @tparam cdata shown where others look, a `uint8_t *`
-- @tparam number ticks_per_us of the helper's clock
function _M:start_counters(shown, ticks_per_us)
  local counters = counters_t()
  counters.ticks_per_us = ticks_per_us
  counters.log_level = errlog.get_sys_filter_level()
  self.counters, self.shown = counters, shown
  self:show_counters()
end


--- Copies the counters to where others look at them: after each event, before
-- this side sleeps, and now and then.
-- @phases all, while the session is open
function _M:show_counters()
  copy(self.shown, self.counters, BYTES)
end


return _M
