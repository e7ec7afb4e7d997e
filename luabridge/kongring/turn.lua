--- Turns of nginx's loop.
--
-- Purpose: what waits for a semaphore goes on at the end of a turn. With
-- OpenResty's patches, which Kong's nginx has, what slept for 0 seconds and
-- timers without a delay go on behind that, and nginx waits for events next.
--
-- Called by: bridge.lua (`learn`), session_wait.lua, attach.lua, log_phase.lua.
-- Phases: where said.
--
-- @module kongring.turn


local semaphore = require "ngx.semaphore"
local timer_at = require("kongring.timer").at


local sleep = ngx.sleep
local spawn = ngx.thread.spawn


local _M = {
  --- Whether a sleep of 0 seconds takes a turn, nil before `learn`. Without the
  -- patches it is a timer that is over within the same pass over all timers:
  -- others do not get their turn, and each sleep is worth a line in the log.
  can_sleep = nil,
}


--- Finds out, once in a worker, how its nginx sleeps.
-- @phases timer
function _M.learn()
  if _M.can_sleep ~= nil then
    return
  end
  local turn, came = semaphore.new(), false
  local other = spawn(function()
    turn:wait(1)
    came = true
  end)
  turn:post(1)
  sleep(0)
  _M.can_sleep = came
  ngx.thread.wait(other)
end


local asked = false -- a timer that ends nginx's wait is under way


local function awake()
  asked = false
end


--- Keeps nginx from waiting for events before those had their turn whom the
-- caller has woken by a semaphore. Needed by who may be running at the end of a
-- turn. It is not a sleep of 0 seconds: a request without any timer does not
-- keep a worker that shuts down from leaving.
-- @phases all but init
function _M.keep_awake()
  if _M.can_sleep and not asked then
    asked = timer_at(0, awake) or false
  end
end


return _M
