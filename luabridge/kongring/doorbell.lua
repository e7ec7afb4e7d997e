--- The connection on which the server rings this worker.
--
-- Purpose: each byte makes the thread that reads hand out what came, and its
-- hang-up tells that the server is gone, or stops.
--
-- Called by: bridge.lua. Phases: timer.
--
-- @module kongring.doorbell


local sys = require "kongring.sys"


local now = sys.now
local exiting = ngx.worker.exiting


-- seconds between two looks for slots whose coroutine was killed
local SWEEP = 5

-- rings after which a fresh thread takes over: memory of a light thread's
-- request is only given back at its end
local RINGS_PER_THREAD = 100000


local _M = {}


-- the doorbell is hung up: by a server that is gone, or that stops and goes on
-- with the events it has
local function hung_up(self, session, err)
  if self.leaving or session.closed then
    return
  end
  if sys.hung_up(session.attachment.control) then
    session:close("the plugin server went away (" .. err .. ")")
  else
    self:replace(session)
  end
end


--- Reads the doorbell until the session or this thread's turn is over.
-- @phases timer
-- @tparam table self the bridge
-- @tparam table session
-- @tparam table socket the doorbell, a cosocket of this timer
-- @treturn boolean true when another thread is to go on with the same session
function _M.read(self, session, socket)
  local swept = now()
  socket:settimeouts(1000, 1000, SWEEP * 1000)
  for _ = 1, RINGS_PER_THREAD do
    if exiting() then
      -- in case the timer could not be made, or fired before the session was
      self:leave()
      return false
    end
    local data, err = socket:receiveany(4096)
    session:answer() -- what came before a hang-up counts
    if not data and err ~= "timeout" then
      hung_up(self, session, err)
      return false
    end
    if session.closed then
      return false
    end
    if now() - swept >= SWEEP then
      swept = now()
      session:sweep()
      -- nginx does not always tell of a hang-up that comes with bytes
      if not session.closed and sys.hung_up(session.attachment.control) then
        session:close("the plugin server went away")
        return false
      end
    end
  end
  return true
end


return _M
