--- How requests wait for the server.
--
-- Purpose: the ladder. The owner of a slot looks into the ring; spins in the C
-- helper while an answer is likely to come at once; then yields, and a light
-- thread looks once per turn of nginx's loop; and at last the worker lets
-- itself be rung. No step keeps the worker longer than the spin's budget, or
-- than two of them where the first brought the end of an event that was posted.
-- The rules of both sides stand together in server/doc.go.
--
-- Called by: event.lua, instance.lua and bridge.lua, as methods of the session.
-- Phases: those that may yield; `look_on` and `answer` timer.
--
-- @module kongring.session_wait


local semaphore = require "ngx.semaphore"
local sys = require "kongring.sys"
local turn = require "kongring.turn"


local now = sys.now
local sleep = ngx.sleep


-- Rules of the spin: so many microseconds cost less than the wake-up that they
-- may save; after so many in vain one in so many is tried.
local SPIN_US = 10
local SPIN_PATIENCE = 8
local SPIN_PROBE = 16

-- Answers in a row that came while this side looked on, after which it yields
-- all the same: a plugin that asks without end, or a server that lies, would
-- have the worker to itself, and its deadline would never come, since nginx's
-- clock stands still meanwhile.
local SPIN_STREAK = 256

-- Rules of the look: while requests wait, a light thread looks into the ring
-- once per turn of nginx's loop, which costs less than being rung. After so
-- many turns that brought nothing it lets the worker sleep; after so many such
-- ends in a row only one time in LOOK_PROBE is tried.
local LOOK_TURNS = 40
local LOOK_PATIENCE = 8
local LOOK_PROBE = 16

-- seconds: as good as for ever
local FAR = 24 * 3600


local _M = {}


-- Looks on for a while. Gives true when own's message came, false when it did
-- not, nil and an error when the session is over.
local function spin(self, own)
  if self.unpaid >= SPIN_PATIENCE then
    self.skipped = self.skipped + 1
    if self.skipped < SPIN_PROBE then
      return false
    end
    self.skipped = 0
  end
  local c = self.counters
  if not self.inn:spin(SPIN_US * self.ticks_per_us) then
    self.unpaid = self.unpaid + 1
    c.spins_unpaid = c.spins_unpaid + 1
    return false
  end
  self.unpaid = 0
  self.streak = self.streak + 1
  c.spins_paid = c.spins_paid + 1
  return self:take(own)
end


-- announces to the server that this side sleeps; false when there is
-- something to look at already
local function go_to_sleep(self)
  if self.asleep then
    return true
  end
  if not self.inn:sleep() then
    return false
  end
  self.asleep = true
  self.counters.sleeps = self.counters.sleeps + 1
  self:show_counters()
  self:claim_writer()
  return true
end


-- Makes sure that the server notices what was sent, and that somebody notices
-- what it answers: the light thread that looks, which also rings the server,
-- once for all that was sent in its turn; or the doorbell. False when there is
-- something to look at already.
local function arrange_wake(self)
  if self.looking then
    self.unrung = true
    return true
  end
  if not self.asleep and self.looks and not self.leaving then
    local look = self.blind < LOOK_PATIENCE
    if not look then
      self.unseen = self.unseen + 1
      look = self.unseen >= LOOK_PROBE
    end
    if look then
      self.unseen = 0
      self.looking, self.unrung = true, true
      self.looker:post(1)
      turn.keep_awake()
      return true
    end
  end
  self:wake_server()
  return self.asleep or go_to_sleep(self)
end


--- Makes sure that the server notices what was sent, and that somebody notices
-- what it answers. Needed by who sends and does not wait.
-- @phases all
function _M:look_out()
  while not self.closed and not arrange_wake(self) do
    self:drain(nil)
  end
end


-- stops to look: from now on the worker is rung
local function look_away(self)
  self.looking = false
  if not go_to_sleep(self) then
    self.looking = true
  end
end


-- one look of the light thread; gives the turns in a row that brought nothing
local function look_once(self, turns)
  self.taken = 0
  if self.unrung then
    self.unrung = false
    self:wake_server()
  end
  local before = self.waiters
  if before == 0 or self:drain(nil) == nil then
    self.looking = false
  elseif self.waiters ~= before then
    self.blind = 0
    return 0
  elseif turns >= LOOK_TURNS then
    self.blind = self.blind + 1
    look_away(self)
  end
  return turns + 1
end


-- looks into the ring once per turn while somebody waits
local function look_about(self, looker)
  local turns = 0
  while self.looking and self.looker == looker do
    turns = look_once(self, turns)
    self:attend()
    self:expire()
    sleep(0) -- also at the end: see turn.keep_awake
  end
end


--- Looks into the ring once per turn of nginx's loop while requests wait, and
-- attends to the events that nobody waits for. Runs as a light thread until the
-- session ends, the worker leaves, or another such thread takes over. Where
-- nginx cannot be made to wait for its next turn, it does not look, and the
-- worker is always rung.
-- @phases timer
-- @tparam boolean may_look there is a ring to look into
function _M:look_on(may_look)
  local looker = semaphore.new()
  if self.looker then
    self.looker:post(1) -- it is replaced
  end
  self.looker, self.looks = looker, may_look and turn.can_sleep
  while self.looker == looker and not self.closed and not self.leaving do
    if self.looking then
      look_about(self, looker)
    else
      self:attend()
      local tick = self:expire()
      if not self.looking and not self.closed then
        self.dozing = not tick
        looker:wait(tick or FAR)
        self.dozing = false
      end
    end
  end
  if self.looker == looker then
    self.looker, self.looks, self.looking = nil, false, false
    if not self.closed then
      self:wake_all()
    end
  end
end


-- takes the message that is in the slot
local function receive(self, slot)
  local kind = slot.type
  slot.type = false
  if self.asleep and self.waiters == 0 and not self.closed then
    self.asleep = false
    self.inn:awake()
  end
  return kind
end


-- yields until somebody has looked; false when the slot is another's meanwhile
local function rest(self, slot, generation, left)
  slot.waiting = true
  self.waiters = self.waiters + 1
  if not self:yield(slot, generation, left) then
    return false
  end
  self:rest_over(slot)
  return true
end


-- waits on for a message that was not there at the first look
local function await_on(self, slot, generation)
  while true do
    if not slot.type and not self.closed then
      local found, err = self:drain(slot)
      if found == nil then
        return nil, err
      end
    end
    if slot.type then
      -- also of a session that has closed since: an end is an end
      return receive(self, slot)
    end
    if self.closed then
      return nil, self.closed
    end

    local left = slot.deadline - now()
    if left <= 0 then
      return nil, "timeout"
    end
    if arrange_wake(self) and not rest(self, slot, generation, left) then
      return nil, "gone"
    end
  end
end


--- Waits for the slot's next message.
-- @phases those that may yield
-- @tparam table slot
-- @tparam number generation
-- @treturn number|nil its type; code and arg stand in the slot, and its reader
-- is at the start of the body
-- @treturn string|nil why none comes: "timeout" when the slot's deadline
-- passed, "gone" when the slot has another owner
function _M:await(slot, generation)
  if slot.type or self.closed then
    return await_on(self, slot, generation)
  end
  local posted = self.posted
  if self.open_count - posted == 1 and self.streak < SPIN_STREAK and
     not self:wake_server() then
    local found, err = spin(self, slot)
    if found == false and self.posted < posted then
      found, err = spin(self, slot) -- it was another's, that nobody waits for
    end
    if found then
      return receive(self, slot)
    elseif found == nil then
      return nil, err
    end
  end
  self.streak = 0
  -- others are under way: what comes while this one yields is for all of them
  if arrange_wake(self) then
    local left = slot.deadline - now()
    if left > 0 and not rest(self, slot, generation, left) then
      return nil, "gone"
    end
    if slot.type then
      return receive(self, slot)
    end
  end
  return await_on(self, slot, generation)
end


--- What the doorbell thread does when it was rung: hands out what came, and
-- announces its sleep again while somebody waits.
-- @phases timer
function _M:answer()
  self.taken = 0
  self:give_room()
  while not self.closed do
    self.asleep, self.near = false, true
    local found = self:drain(nil)
    self.near = false
    if found == nil then
      return
    end
    self:attend()
    if self.closed or self.waiters == 0 or arrange_wake(self) then
      return
    end
  end
end


return _M
