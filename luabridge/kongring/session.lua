--- One attachment of this worker to a plugin server: slots and messages.
--
-- Purpose: sends messages, hands those that come to the coroutine that owns
-- their slot, and lets that coroutine wait: it looks into the ring, spins in
-- the C helper while an answer is likely to come at once, and then yields to
-- nginx until the doorbell thread (bridge.lua) wakes it. Nothing here blocks
-- the worker longer than the spin budget.
--
-- Called by: bridge.lua, instance.lua, event.lua. Phases: those that may
-- yield, where said; else all.
--
-- Only pointers into the segment are kept, and every use of them comes after a
-- look at `closed` with no yield in between: `close` unmaps at once.
--
-- @module kongring.session


local ffi = require "ffi"
local attach = require "kongring.attach"
local helper = require "kongring.helper"
local layout = require "kongring.layout"
local msgpack = require "kongring.msgpack"
local ring = require "kongring.ring"
local semaphore = require "ngx.semaphore"
local sys = require "kongring.sys"


local C = helper.C
local cast = ffi.cast
local copy = ffi.copy
local max = math.max
local min = math.min
local fmt = string.format
local setmetatable = setmetatable
local now = ngx.now
local HEAD_SIZE = layout.HEAD_SIZE
local TYPE_CALL = layout.TYPE_CALL
local TYPE_EXIT = layout.TYPE_EXIT
local TYPE_DONE = layout.TYPE_DONE
local TYPE_START = layout.TYPE_START
local TYPE_STARTED = layout.TYPE_STARTED


-- Rules of the spin, the same as the server's: so many microseconds cost less
-- than the wake-up that they may save; after so many in vain one in so many is
-- tried.
local SPIN_US = 10
local SPIN_PATIENCE = 8
local SPIN_PROBE = 16

-- longest message from the server, in bytes
local MAX_MESSAGE = 64 * 2 ^ 20

-- buffers that grew beyond this are not kept for the next message
local KEEP = 64 * 1024

-- seconds between two looks where no doorbell thread is left to wake anybody
local POLL = 0.002


local head_t = ffi.typeof("const kongring_head *")


local Session = {}
local mt = { __index = Session }


local _M = {}


--- A session over an attachment, which it owns from now on.
-- @phases timer
-- @tparam table attachment as `kongring.attach` gave it
-- @tparam number ticks_per_us of the helper's clock
-- @treturn table|nil the session
-- @treturn string|nil why the memory does not hold one
function _M.new(attachment, ticks_per_us)
  local regions = attachment.segment.regions
  local to_server = regions[layout.REGION_TO_SERVER]
  local to_worker = regions[layout.REGION_TO_WORKER]
  local out, err = ring.producer(to_server.ptr, to_server.size)
  local inn, err2 = ring.consumer(to_worker.ptr, to_worker.size)
  if not out or not inn then
    attach.detach(attachment)
    return nil, err or err2
  end

  local counters = cast("kongring_worker_counters *",
                        regions[layout.REGION_WORKER_COUNTERS].ptr)
  counters.ticks_per_us = ticks_per_us
  return setmetatable({
    id = attachment.id,
    attachment = attachment,
    out = out,
    inn = inn,
    counters = counters,
    reader = msgpack.new_reader(),
    spin_ticks = SPIN_US * ticks_per_us,
    unpaid = 0, -- spins in a row that found nothing
    skipped = 0, -- spins left out since then

    slots = {}, -- by number
    free = {}, -- stack of slots nobody uses
    open_count = 0,
    asleep = false, -- the sleeping word is set, or a ring is on its way
    waiters = 0, -- slots whose owner waits for the doorbell thread
    room = {}, -- slots whose owner waits for room
    closed = nil, -- why the session is over
  }, mt)
end


--- Opens a slot: one conversation with the server.
-- @phases all
-- @tparam number kind `TYPE_START` or `TYPE_EVENT`
-- @tparam number deadline as `ngx.now` counts, when nobody waits any more
-- @treturn table|nil the slot, to be given to `release`
-- @treturn string|nil all slots are taken
function Session:acquire(kind, deadline)
  local free = self.free
  local n = #free
  local slot = free[n]
  if slot then
    free[n] = nil
  else
    if #self.slots >= layout.MAX_SLOTS - 1 then
      return nil, "all " .. layout.MAX_SLOTS .. " slots are taken"
    end
    slot = {
      number = #self.slots + 1,
      generation = 0,
      sema = semaphore.new(),
      out = msgpack.new_buffer(256), -- message under way to the server
      inbox = msgpack.new_buffer(256), -- message from the server
      type = false, -- of the message in the inbox, false when it is empty
    }
    self.slots[slot.number] = slot
  end
  slot.generation = (slot.generation + 1) % 2 ^ 32
  slot.kind, slot.deadline, slot.open = kind, deadline, true
  slot.waiting, slot.type, slot.partial = false, false, false
  slot.code, slot.arg = 0, 0
  self.open_count = self.open_count + 1
  self.counters.open = self.open_count
  return slot
end


--- Gives a slot back: later messages for it are late.
-- @phases all
function Session:release(slot)
  if not slot.open then
    return
  end
  slot.open = false
  if slot.waiting then
    slot.waiting = false
    self.waiters = self.waiters - 1
  end
  if slot.out.cap > KEEP then
    slot.out = msgpack.new_buffer(256)
  end
  if slot.inbox.cap > KEEP then
    slot.inbox = msgpack.new_buffer(256)
  end
  self.open_count = self.open_count - 1
  self.free[#self.free + 1] = slot
  if not self.closed then
    self.counters.open = self.open_count
  end
end


--- Ends the session: memory and descriptors are given back, every waiting
-- coroutine is woken and finds `closed`. A second call does nothing.
-- @phases all
-- @tparam string reason for the log and for those who wait
function Session:close(reason)
  if self.closed then
    return
  end
  self.closed = reason
  local attachment = self.attachment
  self.out, self.inn, self.counters, self.attachment = nil, nil, nil, nil
  attach.detach(attachment)
  self:wake_all()
end


-- the peer broke a rule: the session ends with it
local function damage(self, reason)
  ngx.log(ngx.ERR, "[kongring] session ", self.id, " closed: ", reason)
  self:close(reason)
  return nil, reason
end


--- Wakes everybody who waits, for an answer or for room, to look again.
-- @phases all
function Session:wake_all()
  for i = 1, #self.slots do
    local slot = self.slots[i]
    if slot.waiting then
      slot.waiting = false
      slot.sema:post(1)
    end
  end
  self.waiters = 0
  self:give_room()
end


--- Wakes those who wait for room in the ring, to look again.
-- @phases all
function Session:give_room()
  local room = self.room
  if #room > 0 then
    self.room = {}
    for i = 1, #room do
      room[i].sema:post(1)
    end
  end
end


--- Tells the server that this worker shuts down. From now on whoever waits
-- looks by itself.
-- @phases all
function Session:leave()
  if not self.closed and not self.leaving then
    self.leaving = true
    sys.send(self.attachment.control, string.char(layout.LEAVE_BYTE), 1)
    self:wake_all()
  end
end


--- Starts a message in the slot's buffer; the caller puts the body behind.
-- @phases all
-- @treturn table the buffer
function Session:begin(slot, kind, code, arg) -- luacheck: ignore self
  local b = slot.out
  b:reset()
  b:put_u8(kind)
  b:put_u8(code)
  b:put_u16(slot.number)
  b:put_u32(slot.generation)
  b:put_u32(arg)
  return b
end


-- rings the server if it sleeps; true if it did
local function wake_server(self)
  if self.out:claim_wake() then
    self.counters.doorbells = self.counters.doorbells + 1
    sys.ring(self.attachment.bell)
    return true
  end
  return false
end


-- gives the server's writers the room that was read free
local function claim_writer(self)
  if self.inn:claim_wake() then
    self.counters.doorbells = self.counters.doorbells + 1
    sys.ring(self.attachment.bell)
  end
end


-- yields until somebody posts the slot's semaphore, the time is over, or, when
-- no doorbell thread is left, it is time to look again; the caller looks
-- whatever came
local function yield(self, slot, seconds)
  if self.leaving then
    seconds = min(seconds, POLL)
  end
  slot.sema:wait(max(seconds, 0.001))
  if slot.sema:count() > 0 then
    slot.sema:wait(0) -- posted while the wait timed out
  end
end


-- sends one frame, and yields while there is no room
local function send_frame(self, slot, data, len, more)
  while true do
    local ok, err = self.out:write(data, len, more)
    if ok then
      break
    end
    if ok == nil then
      return damage(self, err)
    end
    wake_server(self)
    if self.out:wait(len) then
      if now() >= slot.deadline then
        return nil, "timeout"
      end
      self.counters.full_waits = self.counters.full_waits + 1
      local generation = slot.generation
      self.room[#self.room + 1] = slot
      yield(self, slot, slot.deadline - now())
      if self.closed then
        return nil, self.closed
      end
      if slot.generation ~= generation or not slot.open then
        return nil, "the event is over"
      end
    end
  end
  local c = self.counters
  c.frames_out = c.frames_out + 1
  c.bytes_out = c.bytes_out + len
  return true
end


-- sends a message longer than a frame, in pieces with the same head
local function send_pieces(self, slot)
  local b = slot.out
  local limit = self.out.max_payload
  local data, left = b.data, b.len
  while left > limit do
    local ok, err = send_frame(self, slot, data, limit, true)
    if not ok then
      return nil, err
    end
    -- the head of the next piece takes the place of bytes that were sent
    local step = limit - HEAD_SIZE
    copy(data + step, data, HEAD_SIZE)
    data, left = data + step, left - step
    wake_server(self)
  end
  return send_frame(self, slot, data, left, false)
end


--- Sends the message in the slot's buffer.
-- @phases all while there is room, else those that may yield
-- @treturn boolean|nil true
-- @treturn string|nil why not: "timeout" when the slot's deadline passed
-- @treturn boolean|nil the server slept and was rung: no answer comes soon
function Session:send(slot)
  if self.closed then
    return nil, self.closed
  end
  local b = slot.out
  local ok, err
  if b.len <= self.out.max_payload then
    ok, err = send_frame(self, slot, b.data, b.len, false)
  else
    ok, err = send_pieces(self, slot)
  end
  if not ok then
    return nil, err
  end
  return true, nil, wake_server(self)
end


-- what is wrong with a message for an open slot, nil when nothing is
local function fault(slot, kind)
  if slot.kind == TYPE_START then
    if kind ~= TYPE_STARTED then
      return fmt("type %d for a start in slot %d", kind, slot.number)
    end
  elseif kind ~= TYPE_CALL and kind ~= TYPE_DONE and kind ~= TYPE_EXIT then
    return fmt("type %d for an event in slot %d", kind, slot.number)
  end
  if slot.type then
    return fmt("type %d in slot %d, where type %d was not looked at yet", kind,
               slot.number, slot.type)
  end
end


-- Takes one frame out of the ring. Gives the slot that a whole message is for
-- now, false for a frame that completes none, nil and an error when the
-- session is over, and nil alone when the ring is empty. `own` is the slot
-- whose owner asks: its message stays in the consumer's buffer.
local function take(self, own)
  local inn = self.inn
  local len, err = inn:read()
  if not len then
    if len == nil then
      return damage(self, err)
    end
    return nil
  end
  local c = self.counters
  c.frames_in = c.frames_in + 1
  c.bytes_in = c.bytes_in + len

  if len < HEAD_SIZE then
    return damage(self, "message of " .. len .. " bytes")
  end
  local head = cast(head_t, inn.frame)
  local kind, slot = head.type, self.slots[head.slot]
  if not slot then
    return damage(self, fmt("type %d for slot %d, which was never opened", kind,
                            head.slot))
  end
  if not slot.open or head.generation ~= slot.generation then
    c.late_frames = c.late_frames + 1
    return false
  end
  local wrong = fault(slot, kind)
  if wrong then
    return damage(self, wrong)
  end

  if slot == own and not inn.more and not slot.partial then
    slot.type, slot.code, slot.arg = kind, head.code, head.arg
    slot.body, slot.body_len = inn.frame + HEAD_SIZE, len - HEAD_SIZE
    return slot
  end

  local b = slot.inbox
  if not slot.partial then
    b:reset()
    slot.code, slot.arg = head.code, head.arg
  elseif head.code ~= slot.code or head.arg ~= slot.arg then
    return damage(self, fmt("pieces of two messages in slot %d", slot.number))
  end
  local n = len - HEAD_SIZE
  if b.len + n > MAX_MESSAGE then
    return damage(self, fmt("message of more than %d bytes in slot %d",
                            MAX_MESSAGE, slot.number))
  end
  b:reserve(n)
  copy(b.data + b.len, inn.frame + HEAD_SIZE, n)
  b.len = b.len + n
  slot.partial = inn.more
  if inn.more then
    return false
  end
  slot.type, slot.body, slot.body_len = kind, b.data, b.len
  return slot
end


-- Empties the ring up to a message for `own`; wakes the owners of others.
-- True when own's message is there, nil and an error when the session is over.
local function drain(self, own)
  while true do
    local slot, err = take(self, own)
    if slot and slot == own then
      claim_writer(self)
      return true
    elseif slot then
      if slot.waiting then
        slot.waiting = false
        self.waiters = self.waiters - 1
        slot.sema:post(1)
      end
    elseif slot == nil then
      if err then
        return nil, err
      end
      claim_writer(self)
      return false
    end
  end
end


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
  if not self.inn:spin(self.spin_ticks) then
    self.unpaid = self.unpaid + 1
    c.spins_unpaid = c.spins_unpaid + 1
    return false
  end
  self.unpaid = 0
  c.spins_paid = c.spins_paid + 1
  return drain(self, own)
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
  claim_writer(self)
  return true
end


--- Waits for the slot's next message.
-- @phases those that may yield
-- @tparam table slot
-- @tparam boolean|nil slow the answer will not come at once: no spin
-- @treturn number|nil its type; code, arg, body and body_len stand in the slot
-- and the body stays until the next look into the ring
-- @treturn string|nil why none comes: "timeout" when the slot's deadline passed
function Session:await(slot, slow)
  slot.type = slot.type or false
  while true do
    if self.closed then
      return nil, self.closed
    end
    local kind = slot.type
    if not kind then
      local found, err = drain(self, slot)
      if found == false and not slow and self.open_count == 1 then
        found, err = spin(self, slot)
      end
      if found == nil then
        return nil, err
      end
      kind = slot.type
    end
    if kind then
      slot.type = false
      if self.asleep and self.waiters == 0 then
        self.asleep = false
        self.inn:awake()
      end
      return kind
    end

    local left = slot.deadline - now()
    if left <= 0 then
      return nil, "timeout"
    end
    if go_to_sleep(self) then
      slot.waiting = true
      self.waiters = self.waiters + 1
      yield(self, slot, left)
      if slot.waiting then
        slot.waiting = false
        self.waiters = self.waiters - 1
      end
    end
  end
end


--- What the doorbell thread does when it was rung: hands out what came, and
-- announces its sleep again while somebody waits.
-- @phases timer
function Session:answer()
  self:give_room()
  while not self.closed do
    self.asleep = false
    if drain(self, nil) == nil then
      return
    end
    if self.waiters == 0 or go_to_sleep(self) then
      return
    end
  end
end


--- Gives back the slots whose coroutine was killed: it would have left at the
-- deadline. The server is told.
-- @phases all
function Session:sweep()
  local late = now() - 5
  for i = 1, #self.slots do
    local slot = self.slots[i]
    if self.closed then
      return
    end
    if slot.open and slot.deadline < late then
      self:cancel(slot, layout.STATUS_CLIENT_GONE, "its request went away")
    end
  end
end


--- Ends an event that the server still works on, and releases its slot.
-- @phases all
-- @tparam table slot of an event
-- @tparam number status one of `layout.STATUS_*`
-- @tparam string text for the plugin
function Session:cancel(slot, status, text)
  if slot.open and not self.closed then
    local b = self:begin(slot, layout.TYPE_CANCEL, status, 0)
    b:put_str(text)
    -- never waits: a ring without room for a few bytes is left to the
    -- server's own deadline
    if self.out:write(b.data, min(b.len, self.out.max_payload), false) then
      self.counters.frames_out = self.counters.frames_out + 1
      wake_server(self)
    end
  end
  self:release(slot)
end


--- The microseconds since a reading of the helper's clock.
-- @phases all
function Session:count_event(started, failed)
  if self.closed then
    return
  end
  local c = self.counters
  c.events_done = c.events_done + 1
  c.event_ticks = c.event_ticks + (C.kongring_ticks() - started)
  if failed then
    c.errors = c.errors + 1
  end
end


return _M
