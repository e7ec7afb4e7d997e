--- Events that nobody waits for.
--
-- Purpose: where nothing may yield, an event is posted: its first message goes
-- into the ring, and the coroutine goes on. What comes for it is attended to in
-- the worker's own light threads, which read the ring or the doorbell, and so
-- must not wait either. An event that has to wait, for a method or for room in
-- the ring, is given away to who can; so is every event when the light threads
-- end.
--
-- Called by: log_phase.lua, posted.lua, session_wait.lua and session.lua, as
-- methods of the session. Phases: all but init; `attend` and `expire` timer.
--
-- The owner of a posted event is a table of functions, none of which yields:
--
-- * `serve(session, slot, generation)` deals with the message in the slot. It
--   gives true when it sent an answer and more will come, nil when the event is
--   over and its slot released, and false when it has to be given away, with
--   true behind it when the message in the slot's buffer is still to be sent.
-- * `failed(session, slot, generation, text)` is told what `serve` raised, and
--   ends the event.
-- * `late(session, slot, generation)` is told that the event's time is over,
--   and ends it.
-- * `take_over(session, slot, generation, unsent)` gets an event that is given
--   away: the slot is like any other from then on, and its own to wait in.
--
-- @module kongring.session_posted


local layout = require "kongring.layout"
local sys = require "kongring.sys"
local turn = require "kongring.turn"


local cut = require("kongring.trace").cut
local now = sys.now
local pcall = pcall
local keep_awake = turn.keep_awake
local TYPE_DONE = layout.TYPE_DONE
local STATUS_OK = layout.STATUS_OK


-- posted events that are open at a time at most, well below the slots of a
-- session: what they hold of their requests is bounded by that
local MOST = 512

-- seconds between two looks for posted events whose time is over
local TICK = 1

-- an ARG below has no writes
local ONE_WRITE = 2 ^ layout.ARG_WRITES


local _M = {}


--- Tells whether an event can be posted: whether somebody will attend to it.
-- @phases all
-- @treturn boolean
function _M:can_post()
  return not self.closed and not self.leaving and self.looker ~= nil and
         self.posted < MOST
end


-- hands an event to its owner's `take_over`
local function give_away(self, slot, unsent)
  local owner = slot.owner
  slot.owner = nil
  self:rest_over(slot)
  owner.take_over(self, slot, slot.generation, unsent)
end


-- notes that a message is to come for a posted event
local function expect(self, slot)
  slot.waiting = true
  self.waiters = self.waiters + 1
end


--- Posts an event: sends the message in the slot's buffer. An event for which
-- the ring has no room now is given away at once.
-- @phases all but init
-- @tparam table slot of an event, just opened while `can_post` was true
-- @tparam table owner as above
function _M:post(slot, owner)
  slot.owner, slot.posted = owner, true
  self.posted = self.posted + 1
  local sent = self:send_now(slot)
  if sent then
    slot.began = slot.generation
    expect(self, slot)
    self:look_out()
    if self.dozing and not self.looking then
      self.dozing = false
      self.looker:post(1)
      keep_awake()
    end
  elseif sent == false then
    give_away(self, slot, true)
  end -- else the session is over, which has given everything away
end


--- Takes in that a message came for a posted event. Whoever reads the ring may
-- be a request: no code of another one runs there, and the message waits for
-- `attend` unless it is a plain end.
-- @phases all
function _M:arrived(slot)
  cut()
  if slot.type == TYPE_DONE and slot.code == STATUS_OK and
     slot.arg < ONE_WRITE then
    slot.type = false
    self:release(slot, slot.generation)
    return
  end
  self.came[#self.came + 1] = slot
  if not self.looking and not self.near and self.looker then
    self.looker:post(1)
    keep_awake()
  end
end


-- deals with one message; true when an answer was sent
local function serve(self, slot)
  local owner, generation = slot.owner, slot.generation
  if not owner or not slot.type then
    return false -- over or given away meanwhile
  end
  cut()
  local ok, more, unsent = pcall(owner.serve, self, slot, generation)
  cut()
  if not ok then
    owner.failed(self, slot, generation, more)
  elseif more then
    expect(self, slot)
    return true
  elseif more == false and slot.owner then
    give_away(self, slot, unsent)
  end
  return false
end


--- Deals with the messages that came for posted events.
-- @phases timer
function _M:attend()
  while #self.came > 0 and not self.closed do
    local came, answered = self.came, false
    self.came = {}
    for i = 1, #came do
      if serve(self, came[i]) then
        answered = true
      end
    end
    if answered then
      self:look_out()
    end
  end
end


--- Ends the posted events whose time is over, at most once in a TICK.
-- @phases timer
-- @treturn number|nil seconds until the next look is due, nil when there are no
-- such events
function _M:expire()
  local t = now()
  if t - self.expired >= TICK and self.posted > 0 then
    self.expired = t
    for i = 1, #self.slots do
      local slot = self.slots[i]
      if self.closed then
        return nil
      end
      if slot.owner and slot.deadline <= t then
        self.counters.deadlines = self.counters.deadlines + 1
        slot.owner.late(self, slot, slot.generation)
      end
    end
  end
  return self.posted > 0 and TICK or nil
end


--- Gives a posted event away to who can wait; that is not for others.
-- @phases all
-- @treturn boolean whether it was one
function _M:give_away(slot)
  if not slot.owner then
    return false
  end
  give_away(self, slot, false)
  return true
end


return _M
