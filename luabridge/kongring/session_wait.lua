--- How requests wait for the server.
--
-- Purpose: the ladder. The owner of a slot looks into the ring; spins in the C
-- helper while an answer is likely to come at once; then yields, and a light
-- thread looks once per turn of nginx's loop; and at last the worker lets
-- itself be rung. No step keeps the worker longer than the spin's budget.
--
-- Called by: event.lua, instance.lua and bridge.lua, as methods of the session.
-- Phases: those that may yield; `look_on` and `answer` timer.
--
-- @module kongring.session_wait


local semaphore = require "ngx.semaphore"


local now = ngx.now
local sleep = ngx.sleep


-- Rules of the spin: so many microseconds cost less than the wake-up that they
-- may save; after so many in vain one in so many is tried.
local SPIN_US = 10
local SPIN_PATIENCE = 8
local SPIN_PROBE = 16

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


-- looks on for a while; true when own's message came
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
  c.spins_paid = c.spins_paid + 1
  return self:drain(own)
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
  self:claim_writer()
  return true
end


-- makes sure that somebody notices what comes next: the light thread that
-- looks, or the doorbell. False when there is something to look at already.
local function arrange_wake(self)
  if self.looking or self.asleep then
    return true
  end
  if self.looker and not self.leaving then
    local look = self.blind < LOOK_PATIENCE
    if not look then
      self.unseen = self.unseen + 1
      look = self.unseen >= LOOK_PROBE
    end
    if look then
      self.unseen = 0
      self.looking = true
      self.looker:post(1)
      return true
    end
  end
  return go_to_sleep(self)
end


--- Looks into the ring once per turn of nginx's loop while requests wait.
-- Runs as a light thread until the session ends, the worker leaves, or another
-- such thread takes over.
-- @phases timer
function _M:look_on()
  local looker = semaphore.new()
  if self.looker then
    self.looker:post(1) -- it is replaced
  end
  self.looker = looker
  while self.looker == looker and not self.closed and not self.leaving do
    if not self.looking then
      looker:wait(FAR)
    else
      local turns = 0
      while self.looking and self.looker == looker do
        local before = self.waiters
        if before == 0 or self:drain(nil) == nil then
          self.looking = false
        elseif self.waiters ~= before then
          turns, self.blind = 0, 0
        else
          turns = turns + 1
          if turns > LOOK_TURNS then
            self.looking = false
            self.blind = self.blind + 1
            if not go_to_sleep(self) then
              self.looking = true
            end
          end
        end
        if self.looking then
          sleep(0)
        end
      end
    end
  end
  if self.looker == looker then
    self.looker, self.looking = nil, false
    if self.waiters > 0 and not self.closed then
      self:wake_all()
    end
  end
end


--- Waits for the slot's next message.
-- @phases those that may yield
-- @tparam table slot
-- @tparam number generation
-- @tparam boolean|nil slow the answer will not come at once: no spin
-- @treturn number|nil its type; code and arg stand in the slot, and its reader
-- is at the start of the body
-- @treturn string|nil why none comes: "timeout" when the slot's deadline
-- passed, "gone" when the slot has another owner
function _M:await(slot, generation, slow)
  while true do
    local kind = slot.type
    if not kind and not self.closed then
      local found, err = self:drain(slot)
      if found == false and not slow and self.open_count == 1 then
        found, err = spin(self, slot)
      end
      if found == nil then
        return nil, err
      end
      kind = slot.type
    end
    if kind then
      -- also of a session that has closed since: an end is an end
      slot.type = false
      if self.asleep and self.waiters == 0 and not self.closed then
        self.asleep = false
        self.inn:awake()
      end
      return kind
    end
    if self.closed then
      return nil, self.closed
    end

    local left = slot.deadline - now()
    if left <= 0 then
      return nil, "timeout"
    end
    if arrange_wake(self) then
      slot.waiting = true
      self.waiters = self.waiters + 1
      if not self:yield(slot, generation, left) then
        return nil, "gone"
      end
      self:rest_over(slot)
    end
  end
end


--- What the doorbell thread does when it was rung: hands out what came, and
-- announces its sleep again while somebody waits.
-- @phases timer
function _M:answer()
  self:give_room()
  while not self.closed do
    self.asleep = false
    if self:drain(nil) == nil then
      return
    end
    if self.waiters == 0 or arrange_wake(self) then
      return
    end
  end
end


return _M
