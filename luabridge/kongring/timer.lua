--- nginx's own timers.
--
-- Purpose: Kong puts a timer wheel of its own in the place of ngx.timer.at. The
-- bridge needs nginx's, whose pending timers fire at once, as premature, when
-- the worker shuts down.
--
-- Called by: bridge.lua, log_phase.lua. Phases: all but init.
--
-- @module kongring.timer


local _M = {}


--- ngx.timer.at
function _M.at(...)
  return (_G.native_timer_at or ngx.timer.at)(...)
end


return _M
