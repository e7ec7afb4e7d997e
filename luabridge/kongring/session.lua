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
local prefetch = require "kongring.prefetch"
local ring = require "kongring.ring"
local errlog = require "ngx.errlog"
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
local sleep = ngx.sleep
local HEAD_SIZE = layout.HEAD_SIZE
local TYPE_CALL = layout.TYPE_CALL
local TYPE_EXIT = layout.TYPE_EXIT
local TYPE_DONE = layout.TYPE_DONE
local TYPE_START = layout.TYPE_START
local TYPE_STARTED = layout.TYPE_STARTED
local TYPE_PROFILE = layout.TYPE_PROFILE


-- Rules of the spin, the same as the server's: so many microseconds cost less
-- than the wake-up that they may save; after so many in vain one in so many is
-- tried.
local SPIN_US = 10
local SPIN_PATIENCE = 8
local SPIN_PROBE = 16

-- seconds: as good as for ever
local FAR = 24 * 3600

-- longest text of a CANCEL in bytes; less in a small ring
local MAX_TEXT = 4096

-- frames in one look at the ring: more than it holds at once, so a server that
-- never stops is found out
local MAX_FRAMES = 100000

-- buffers that grew beyond this are not kept for the next message
local KEEP = 64 * 1024

-- Rules of the look: while requests wait, a light thread looks into the ring
-- once per turn of nginx's loop, which costs less than being rung. After so
-- many turns that brought nothing it lets the worker sleep; after so many such
-- ends in a row only one time in LOOK_PROBE is tried.
local LOOK_TURNS = 40
local LOOK_PATIENCE = 8
local LOOK_PROBE = 16

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
  counters.log_level = errlog.get_sys_filter_level()
  return setmetatable({
    id = attachment.id,
    mark = {}, -- stands for this session where nothing may hold it
    attachment = attachment,
    out = out,
    inn = inn,
    counters = counters,
    reader = msgpack.new_reader(), -- of profiles
    max_message = attachment.max_message,
    spin_ticks = SPIN_US * ticks_per_us,
    unpaid = 0, -- spins in a row that found nothing
    skipped = 0, -- spins left out since then

    slots = {}, -- by number
    free = {}, -- stack of slots nobody uses
    open_count = 0,
    asleep = false, -- the sleeping word is set, or a ring is on its way
    looking = false, -- the light thread looks once per turn
    looker = nil, -- semaphore of that thread, nil when there is none
    blind = 0, -- ends of a look in a row that brought nothing
    unseen = 0, -- looks left out since then
    waiters = 0, -- slots whose owner waits for the doorbell thread
    room = {}, -- slots whose owner waits for room
    profiles = {}, -- by number of the instance, then of the phase
    closed = nil, -- why the session is over
  }, mt)
end


--- Opens a slot: one conversation with the server.
-- @phases all
-- @tparam number kind `TYPE_START` or `TYPE_EVENT`
-- @tparam number deadline as `ngx.now` counts, when nobody waits any more
-- @treturn table|nil the slot
-- @treturn number|string its generation, which every other function wants with
-- it: a slot whose coroutine outstayed its deadline may have another owner; or
-- why there is no slot
function Session:acquire(kind, deadline)
  if self.closed then
    return nil, self.closed
  end
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
      inbox = msgpack.new_buffer(256), -- body of the server's message
      reader = msgpack.new_reader(), -- of the inbox
      type = false, -- of the message in the inbox, false when it is empty
    }
    self.slots[slot.number] = slot
  end
  slot.generation = (slot.generation + 1) % 2 ^ 32
  slot.kind, slot.deadline, slot.open = kind, deadline, true
  slot.waiting, slot.type, slot.partial = false, false, false
  slot.code, slot.arg, slot.in_room = 0, 0, false
  self.open_count = self.open_count + 1
  self.counters.open = self.open_count
  return slot, slot.generation
end


-- whether a slot still is its owner's
local function owned(slot, generation)
  return slot.open and slot.generation == generation
end


--- Tells whether a slot still is its owner's.
-- @phases all
function Session:owns(slot, generation) -- luacheck: ignore self
  return owned(slot, generation)
end


-- wakes the owner of a slot, if it waits for a message
local function wake(self, slot)
  if slot.waiting then
    slot.waiting = false
    self.waiters = self.waiters - 1
    slot.sema:post(1)
  end
end


-- the owner of a slot does not wait any more
local function awake(self, slot)
  if slot.waiting then
    slot.waiting = false
    self.waiters = self.waiters - 1
  end
end


--- Gives a slot back: later messages for it are late. What the slot's reader
-- gave stays; the bytes it reads from may go.
-- @phases all
function Session:release(slot, generation)
  if not owned(slot, generation) then
    return
  end
  slot.open = false
  awake(self, slot)
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
    wake(self, self.slots[i])
  end
  if self.looker then
    self.looker:post(1)
  end
  self:give_room()
end


--- Wakes those who wait for room in the ring, to look again.
-- @phases all
function Session:give_room()
  local room = self.room
  if #room > 0 then
    self.room = {}
    for i = 1, #room do
      room[i].in_room = false
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


-- Yields until somebody posts the slot's semaphore, the time is over, or, when
-- no doorbell thread is left, it is time to look again; the caller looks
-- whatever came. Gives false when the slot is another's meanwhile.
local function yield(self, slot, generation, seconds)
  if self.leaving then
    seconds = min(seconds, POLL)
  end
  slot.sema:wait(max(seconds, 0.001))
  if slot.sema:count() > 0 then
    slot.sema:wait(0) -- posted while the wait timed out
  end
  if self.leaving and not self.closed and
     sys.hung_up(self.attachment.control) then
    self:close("the plugin server went away")
  end
  return owned(slot, generation)
end


-- sends one frame, and yields while there is no room
local function send_frame(self, slot, generation, data, len, more)
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
      if not slot.in_room then
        slot.in_room = true
        self.room[#self.room + 1] = slot
      end
      if not yield(self, slot, generation, slot.deadline - now()) then
        return nil, "gone"
      end
      if self.closed then
        return nil, self.closed
      end
    end
  end
  local c = self.counters
  c.frames_out = c.frames_out + 1
  c.bytes_out = c.bytes_out + len
  return true
end


-- sends a message longer than a frame, in pieces with the same head
local function send_pieces(self, slot, generation)
  local b = slot.out
  local limit = self.out.max_payload
  local data, left = b.data, b.len
  while left > limit do
    local ok, err = send_frame(self, slot, generation, data, limit, true)
    if not ok then
      return nil, err
    end
    -- the head of the next piece takes the place of bytes that were sent
    local step = limit - HEAD_SIZE
    copy(data + step, data, HEAD_SIZE)
    data, left = data + step, left - step
    wake_server(self)
  end
  return send_frame(self, slot, generation, data, left, false)
end


--- Sends the message in the slot's buffer, of up to `max_message` bytes.
-- @phases all while there is room, else those that may yield
-- @treturn boolean|nil true
-- @treturn string|nil why not: "timeout" when the slot's deadline passed,
-- "gone" when the slot has another owner
-- @treturn boolean|nil the server slept and was rung: no answer comes soon
function Session:send(slot, generation)
  if self.closed then
    return nil, self.closed
  end
  local b = slot.out
  local ok, err
  if b.len <= self.out.max_payload then
    ok, err = send_frame(self, slot, generation, b.data, b.len, false)
  else
    ok, err = send_pieces(self, slot, generation)
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
  if slot.partial and slot.partial ~= kind then
    return fmt("pieces of types %d and %d in slot %d", slot.partial, kind,
               slot.number)
  end
end


-- takes in a profile, the one message that is for no slot
local function take_profile(self, head, len)
  local inn, reader = self.inn, self.reader
  if inn.more then
    return damage(self, "profile in pieces")
  end
  reader:set(inn.frame + HEAD_SIZE, len - HEAD_SIZE)
  local profile, err = prefetch.read(reader)
  if not profile then
    return damage(self, err)
  end
  local of_instance = self.profiles[head.arg]
  if not of_instance then
    of_instance = {}
    self.profiles[head.arg] = of_instance
  end
  of_instance[head.code] = profile.n > 0 and profile or nil
  return false
end


--- What goes to the server along with an event.
-- @phases all
-- @tparam number instance its number
-- @tparam number phase its number
-- @treturn table|nil the profile, for `kongring.prefetch`
function Session:profile(instance, phase)
  local of_instance = self.profiles[instance]
  return of_instance and of_instance[phase]
end


-- Takes one frame out of the ring. Gives the slot that a whole message is for
-- now, false for a frame that completes none, nil and an error when the
-- session is over, and nil alone when the ring is empty. The body is copied:
-- its owner may yield while it reads, and the server sends the slot no other
-- message until this one is answered.
local function take(self)
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
  if kind == TYPE_PROFILE then
    return take_profile(self, head, len)
  end
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

  local b = slot.inbox
  if not slot.partial then
    b:reset()
    slot.code, slot.arg = head.code, head.arg
  elseif head.code ~= slot.code or head.arg ~= slot.arg then
    return damage(self, fmt("pieces of two messages in slot %d", slot.number))
  end
  local n = len - HEAD_SIZE
  if b.len + n > self.max_message then
    return damage(self, fmt("message of more than %d bytes in slot %d",
                            self.max_message, slot.number))
  end
  b:reserve(n)
  copy(b.data + b.len, inn.frame + HEAD_SIZE, n)
  b.len = b.len + n
  slot.partial = inn.more and kind
  if inn.more then
    return false
  end
  slot.type = kind
  slot.reader:set(b.data, b.len)
  return slot
end


-- Empties the ring up to a message for `own`; wakes the owners of others.
-- True when own's message is there, nil and an error when the session is over.
local function drain(self, own)
  for _ = 1, MAX_FRAMES do
    local slot, err = take(self)
    if slot and slot == own then
      claim_writer(self)
      return true
    elseif slot then
      wake(self, slot)
    elseif slot == nil then
      if err then
        return nil, err
      end
      claim_writer(self)
      return false
    end
  end
  return damage(self, "more than " .. MAX_FRAMES .. " frames in one look")
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
function Session:look_on()
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
        if before == 0 or drain(self, nil) == nil then
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
function Session:await(slot, generation, slow)
  while true do
    local kind = slot.type
    if not kind and not self.closed then
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
      if not yield(self, slot, generation, left) then
        return nil, "gone"
      end
      awake(self, slot)
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
    if self.waiters == 0 or arrange_wake(self) then
      return
    end
  end
end


--- Gives back the slots whose coroutine was killed: it would have left at the
-- deadline. The server is told of events.
-- @phases all
function Session:sweep()
  local late = now() - 5
  for i = 1, #self.slots do
    local slot = self.slots[i]
    if self.closed then
      return
    end
    if slot.open and slot.deadline < late then
      if slot.kind == TYPE_START then
        self:release(slot, slot.generation)
      else
        self:cancel(slot, slot.generation, layout.STATUS_CLIENT_GONE,
                    "its request went away")
      end
    end
  end
end


--- Ends an event that the server may still work on, and releases its slot. The
-- server is told if there is room for it: if not, it learns from the next use
-- of the slot.
-- @phases all
-- @tparam table slot of an event
-- @tparam number generation
-- @tparam number status one of `layout.STATUS_*`
-- @tparam string text for the plugin; a long one is cut
function Session:cancel(slot, generation, status, text)
  if not owned(slot, generation) then
    return
  end
  if not self.closed then
    local b = self:begin(slot, layout.TYPE_CANCEL, status, 0)
    b:put_str(text:sub(1, min(MAX_TEXT, self.out.max_payload - HEAD_SIZE - 5)))
    if self.out:write(b.data, b.len, false) then
      self.counters.frames_out = self.counters.frames_out + 1
      wake_server(self)
    end
  end
  self:release(slot, generation)
end


--- Counts an event that has ended.
-- @tparam number started the helper's clock at its begin
-- @tparam boolean|nil failed it ended badly
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
