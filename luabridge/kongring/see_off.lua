--- The end of a session whose server takes no more events.
--
-- Purpose: a plugin server that stops hangs up the doorbell, finishes the
-- events that it has, and waits for its workers to hang up. New events have a
-- fresh session by then (bridge.lua); this looks after the old one until its
-- requests are over.
--
-- Called by: bridge.lua. Phases: timer.
--
-- @module kongring.see_off


local sys = require "kongring.sys"


local now = sys.now
local sleep = ngx.sleep


-- seconds between two looks: nothing tells that the last request is over
local LOOK = 0.005

-- seconds between two looks for slots whose coroutine was killed
local SWEEP = 5


local _M = {}


--- Closes a session when nobody needs it any more, or its server hangs up.
-- Those who wait in it look by themselves meanwhile (`leave`).
-- @phases timer
-- @tparam table session over shared memory, which has left
function _M.run(session)
  local swept = now()
  while not session.closed do
    if session.open_count == 0 then
      session:close("the plugin server takes no more events")
    elseif sys.hung_up(session.attachment.control) then
      session:drain(nil) -- what came before the hang-up counts
      session:close("the plugin server went away")
    else
      if now() - swept >= SWEEP then
        swept = now()
        session:sweep()
      end
      sleep(LOOK)
    end
  end
end


return _M
