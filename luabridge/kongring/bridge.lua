--- The worker's connection to one plugin server, kept alive.
--
-- Purpose: one light thread attaches to the server, opens the doorbell, and
-- reads it: each ring makes it hand out what came (session_wait.lua). When the
-- server goes, which the doorbell's hang-up tells at once, every waiting
-- request is told and the thread attaches anew, with a back-off. A server that
-- stops hangs up the doorbell alone, or refuses an event: another thread
-- attaches anew, to whoever listens now, and the old session goes on for the
-- requests it has (see_off.lua). When the worker shuts down, the session ends
-- with the events that are there, and a later one gets a session of its own.
--
-- Where shared memory is refused, the thread attaches by the socket and pumps
-- instead (pump.lua); the next time it attaches it tries shared memory first
-- again.
--
-- Called by: handler.lua. Phases: `start` all, `session` those that may yield.
--
-- @module kongring.bridge


local attach = require "kongring.attach"
local carrier = require "kongring.carrier"
local doorbell = require "kongring.doorbell"
local helper = require "kongring.helper"
local pump = require "kongring.pump"
local see_off = require("kongring.see_off").run
local semaphore = require "ngx.semaphore"
local sessions = require "kongring.session"
local timer_at = require("kongring.timer").at
local turn = require "kongring.turn"


local C = helper.C
local max = math.max
local min = math.min
local now = require("kongring.sys").now
local log = ngx.log
local pcall = pcall
local tostring = tostring
local ERR, NOTICE, WARN = ngx.ERR, ngx.NOTICE, ngx.WARN
local exiting = ngx.worker.exiting


-- seconds between two tries to attach: the first and the longest
local BACK_OFF_MIN, BACK_OFF_MAX = 0.01, 0.25

-- seconds that a session has to last to be a good one
local SOUND = 1

-- seconds that a request waits for an attachment that is being made
local ATTACH_WAIT = 1

-- seconds until the timer that notices the worker's shutdown is renewed
local FAR = 24 * 3600


local Bridge = {}
local mt = { __index = Bridge }


local _M = {}


local bridges = {} -- by carrier and path of the socket


-- The helper's clock against the system's, from the load of this module to
-- the first attachment. ngx.now is cached, so the time is updated first.
local function clock()
  ngx.update_time()
  return { ticks = C.kongring_ticks(), seconds = now() }
end
local born = clock()


local function ticks_per_us()
  local t = clock()
  while t.seconds - born.seconds < 0.01 do
    ngx.sleep(0.01)
    t = clock()
  end
  return max(1, (t.ticks - born.ticks) / (t.seconds - born.seconds) / 1e6)
end


-- tells those who wait for the attachment what came of it
local function tell(self)
  local n = self.waiters
  self.waiters = 0
  if n > 0 then
    self.sema:post(n)
  end
end


-- the server is out of reach: the first time, and each time the reason
-- changes, the log says so
local function report_down(self, err, absent)
  if err ~= self.down then
    log(absent and WARN or ERR, "[kongring] ", self.path, ": ", err)
    self.down = err
  end
  tell(self)
end


-- Judges a session that is over or replaced. Where sessions come and go the
-- next attachment waits: a server that lies, or dies as soon as it runs, is
-- asked less and less often.
local function judge(self, session)
  if now() - session.born >= SOUND then
    self.unsound = 0
  else
    self.unsound = min(max(2 * self.unsound, BACK_OFF_MIN), BACK_OFF_MAX)
  end
end


-- makes a session, with an open doorbell where there is no pump
local function connect(self)
  local attachment, err, absent = carrier.attach(self)
  if not attachment then
    return nil, err, absent
  end
  local session
  session, err = sessions.new(attachment, ticks_per_us())
  if not session then
    return nil, err
  end
  self.pumped = attachment.over ~= nil
  if self.pumped then
    return session
  end
  local socket
  socket, err = attach.open_doorbell(self.path, attachment)
  if not socket then
    session:close(err)
    return nil, err
  end
  return session, socket
end


local run -- serves in a fresh timer


-- starts a thread for the bridge, or for the session that it goes on with. A
-- timer that nginx had no place for is noticed by `get`.
local function go_on(self, session)
  self.asked = now()
  self.running = false
  local ok, err = timer_at(0, run, self, session)
  if not ok then
    self.attaching = false
  end
  if not ok and not exiting() then
    log(ERR, "[kongring] failed to make a timer: ", err)
    if session then
      session:close("failed to make a timer: " .. err)
    end
  end
end


-- Makes a session, and tries at once again where one server listened and
-- another has taken over meanwhile: it refused, hung up, or the doorbell led to
-- the other one. Nobody is told of that.
local function connect_to_newest(self)
  local session, socket, absent = connect(self)
  if not session and not absent then
    session, socket, absent = connect(self)
  end
  return session, socket, absent
end


-- attaches, with a back-off, until there is a session or the worker exits
local function attach_patiently(self)
  local delay = BACK_OFF_MIN
  if self.unsound > 0 and not exiting() then
    self.attaching = true
    ngx.sleep(self.unsound)
  end
  repeat
    self.attaching = true
    local session, socket, absent = connect_to_newest(self)
    self.attaching = false
    if session then
      log(NOTICE, "[kongring] attached to ", self.path, " as session ",
          session.id, self.pumped and " by the socket" or "")
      self.session, self.down = session, nil
      tell(self)
      return session, socket
    end
    report_down(self, socket, absent)
    if not exiting() then
      ngx.sleep(delay)
      delay = min(delay * 2, BACK_OFF_MAX)
    end
  until exiting()
end


-- Looks after a session until it is over: reads its doorbell or, without one,
-- pumps. True when another thread is to go on with the same session.
local function attend(self, session, socket)
  turn.learn()
  if not socket then
    pump.run(self, session)
    return false
  end
  ngx.thread.spawn(session.look_on, session, true)
  local again = doorbell.read(self, session, socket)
  socket:close()
  return again
end


local function serve(self, session)
  local socket
  if session and not session.closed then
    -- the server rings the newest doorbell, and once when it is there: nothing
    -- that came in between is missed
    local err
    socket, err = attach.open_doorbell(self.path, session.attachment)
    if not socket then
      -- another server has the path, or none: this one goes on with what it has
      log(NOTICE, "[kongring] session ", session.id, ": ", err)
      self:replace(session)
      return see_off(session)
    end
  elseif exiting() and self.waiters == 0 then
    self.attaching, self.leaving = false, true
    return
  end
  while true do
    if not session or session.closed then
      session, socket = attach_patiently(self)
      if not session then
        return
      end
    end
    if attend(self, session, socket) then
      return go_on(self, session)
    end
    if exiting() then
      self.leaving = true
    end
    if self.session ~= session or self.leaving then -- it was replaced, or ends
      see_off(session)
      log(NOTICE, "[kongring] session ", session.id, " with ", self.path,
          " ended: ", session.closed or "nobody waits for its last events")
      if self.session == session then
        self.session = nil -- later events get another
      end
      return
    end
    log(WARN, "[kongring] session ", session.id, " with ", self.path,
        " ended: ", session.closed)
    -- the next request waits for the attach that comes now
    self.attaching = true
    judge(self, session)
    session, socket = nil, nil
  end
end


-- runs also as premature: a worker that shuts down has requests that wait
function run(_, self, session)
  local mine = {}
  self.running = mine
  local ok, err = pcall(serve, self, session)
  local last = self.running == mine -- no other thread goes on
  if last then
    self.running = false
  end
  if not ok then
    log(ERR, "[kongring] ", self.path, ": ", err)
  end
  if not ok and last then
    session = self.session
    if session then
      session:close("the bridge failed: " .. tostring(err))
    end
    self.attaching = false
    tell(self)
  end
end


--- The server of a session takes no more events: later ones get a fresh
-- session, with whoever listens now, and this one ends with the requests it
-- has. A second call for the same session does nothing.
-- @phases all but init
-- @tparam table session
function Bridge:replace(session)
  if self.session ~= session or session.closed then
    return
  end
  log(NOTICE, "[kongring] session ", session.id, " with ", self.path,
      ": the plugin server takes no more events")
  judge(self, session)
  self.session, session.replaced = nil, true
  session:leave()
  if not self.leaving then -- else the next request asks for it
    self.attaching = true
    go_on(self)
  end
end


local function nothing() end


--- The worker shuts down: the server closes the doorbell, which has the thread
-- see the session off, and the requests that are left look by themselves. A
-- pump goes on until no request needs it.
-- @phases timer
function Bridge:leave()
  self.leaving = true
  local session = self.session
  if session and not session.closed then
    session:leave()
    if self.pumped then
      -- nginx calls this outside its loop, and sleeps before it looks for who
      -- was woken: a timer ends that sleep
      timer_at(0, nothing)
    end
  end
end


-- pending timers fire at once, as premature, when the worker shuts down
local function watch_exit(premature, self)
  if premature then
    return self:leave()
  end
  timer_at(FAR, watch_exit, self)
end


--- The connection to the server at a path, started if it was not.
-- @phases all but init
-- @tparam string path of the control socket
-- @tparam string wanted carrier, as in `kongring.carrier`
-- @treturn table the bridge
function _M.start(path, wanted)
  local key = wanted .. " " .. path
  local self = bridges[key]
  if not self then
    self = setmetatable({
      path = path,
      wanted = wanted, -- carrier
      pumped = false, -- the newest session goes over the socket
      unsound = 0, -- seconds to wait, after a session that did not last
      sema = semaphore.new(),
      waiters = 0, -- requests that wait for the attachment
      attaching = true, -- one is being made
    }, mt)
    bridges[key] = self
  end
  if not self.asked then
    go_on(self)
    timer_at(FAR, watch_exit, self)
  end
  return self
end


-- whether the thread that ought to run does not: one that nginx had no place
-- for, or the next one of a worker that shuts down
local function stalled(self)
  if self.leaving then
    return not self.attaching
  end
  return not self.running and now() - self.asked > 1
end


--- The session with the server, if there is one now.
-- @phases all
-- @treturn table|nil
function Bridge:current()
  local session = self.session
  if session and not session.closed then
    return session
  end
  return nil
end


--- The session with the server.
-- @phases those that may yield; waits only while an attachment is being made
-- @treturn table|nil the session
-- @treturn string|nil why there is none
function Bridge:get()
  local session = self.session
  if session and not session.closed then
    return session
  end
  if stalled(self) then
    self.attaching = true
    go_on(self)
  end
  local deadline = now() + ATTACH_WAIT
  while self.attaching and now() < deadline do
    self.waiters = self.waiters + 1
    -- less than a millisecond is no wait, and nginx's clock would stand still
    if not self.sema:wait(max(deadline - now(), 0.001)) then
      self.waiters = max(0, self.waiters - 1)
    end
  end
  session = self.session
  if session and not session.closed then
    return session
  end
  return nil, self.down or (session and session.closed) or
              "the plugin server is not attached"
end


return _M
