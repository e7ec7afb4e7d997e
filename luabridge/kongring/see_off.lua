--- The end of a session that gets no more events, or none before long.
--
-- Purpose: how a session is handed over, this side's part; the whole stands in
-- server/stop.go. A plugin server that stops dismisses its workers: it hangs
-- up the doorbell, or says so over the socket. New events have a fresh session
-- from then on (bridge.lua). The server stays until this side hangs up the old
-- one, which it does as soon as no event is open in it: every answer has been
-- read then.
--
-- A worker that shuts down ends its session in the same way, unasked, whenever
-- it has no event: a server that stops need not tell it. Its later events get
-- another session, which ends likewise.
--
-- Called by: bridge.lua, pump.lua. Phases: timer.
--
-- @module kongring.see_off


local sys = require "kongring.sys"


local now = sys.now
local sleep = ngx.sleep
local exiting = ngx.worker.exiting


-- seconds between two looks: nothing tells that the last request is over
local LOOK = 0.005

-- Looks in a row that have to find no event: a request between two events has
-- none for a moment, and would need another session. It is thrift and no more:
-- an event that finds the session closed goes to the next one.
local LOOKS = 2

-- seconds between two looks for slots whose coroutine was killed
local SWEEP = 5

-- Looks in a row that find events, and nobody who waits for one: as a rule
-- their coroutines were killed. They must not keep a worker that shuts down
-- from its end, which is the session's too. Who waits looks more often.
local ABANDONED = 20


local _M = {}


--- Makes a function that ends a session when nobody needs it any more. It is to
-- be called at each look, once the session was replaced or the worker shuts
-- down.
-- @phases timer
-- @tparam table session
-- @treturn function
function _M.closer(session)
  local quiet, events = 0, -1
  return function()
    if session.closed or session.open_count > 0 then
      quiet = 0
    elseif session.replaced then
      session:close("the plugin server takes no more events")
    else
      local begun = session.counters.events
      quiet, events = begun == events and quiet + 1 or 0, begun
      if quiet >= LOOKS then
        session:close("the worker shuts down")
      end
    end
  end
end


-- whether somebody waited in a session since the last call
local function attended(session)
  local found = false
  for i = 1, #session.slots do
    local slot = session.slots[i]
    found = found or slot.open and slot.polls
    slot.polls = false
  end
  return found
end


--- Closes a session when nobody needs it any more, or its server hangs up.
-- Those who wait in it look by themselves meanwhile (`leave`). In a worker that
-- shuts down it gives up when only events are left that nobody waits for.
-- @phases timer
-- @tparam table session over shared memory, which has left
function _M.run(session)
  local swept, close_idle = now(), _M.closer(session)
  local alone = 0
  while not session.closed do
    close_idle()
    if not session.closed and sys.hung_up(session.attachment.control) then
      session:drain(nil) -- what came before the hang-up counts
      session:close("the plugin server went away")
    elseif not session.closed then
      if now() - swept >= SWEEP then
        swept = now()
        session:sweep()
      end
      sleep(LOOK)
      alone = attended(session) and 0 or alone + 1
      if alone >= ABANDONED and exiting() then
        return
      end
    end
  end
end


return _M
