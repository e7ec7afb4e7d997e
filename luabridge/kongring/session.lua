--- One attachment of this worker to a plugin server: slots and their owners.
--
-- Purpose: a slot is one conversation with the server; the session opens and
-- releases slots, remembers who waits, and ends. What it sends is in
-- session_send.lua, what it gets in session_receive.lua, how requests wait in
-- session_wait.lua, events that nobody waits for in session_posted.lua, what
-- it has open in session_instances.lua, what it counts in session_counters.lua:
-- all of them are its methods.
--
-- Called by: bridge.lua, instance.lua, event.lua. Phases: those that may
-- yield, where said; else all.
--
-- Only pointers into the segment are kept, and every use of them comes after a
-- look at `closed` with no yield in between: `close` unmaps at once.
--
-- @module kongring.session


local attach = require "kongring.attach"
local helper = require "kongring.helper"
local layout = require "kongring.layout"
local msgpack = require "kongring.msgpack"
local ring = require "kongring.ring"
local semaphore = require "ngx.semaphore"
local spares = require "kongring.spares"
local sys = require "kongring.sys"


local C = helper.C
local max = math.max
local min = math.min
local pairs = pairs
local setmetatable = setmetatable
local now = sys.now
local TYPE_START = layout.TYPE_START
local TYPE_EVENT = layout.TYPE_EVENT


-- bytes that a slot's buffers have room for at first, and again after a long
-- message
local SHORT = 256

-- seconds between two looks where no doorbell thread is left to wake anybody
local POLL = 0.002


local Session = {}
local mt = { __index = Session }


for _, part in pairs({ "send", "receive", "wait", "posted", "instances",
                       "counters" }) do
  for name, method in pairs(require("kongring.session_" .. part)) do
    Session[name] = method
  end
end


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

  local self = setmetatable({
    id = attachment.id,
    attachment = attachment,
    out = out,
    inn = inn,
    reader = msgpack.new_reader(), -- of profiles
    max_message = attachment.max_message,
    ticks_per_us = ticks_per_us,
    unpaid = 0, -- spins in a row that found nothing
    skipped = 0, -- spins left out since then
    streak = 0, -- answers in a row that came during a spin
    taken = 0, -- frames since the last yield
    unfinished = 0, -- bytes of unfinished messages
    started = {}, -- set of the instances that the server has started
    born = now(),

    spares = spares.new(), -- memory of long messages
    slots = {}, -- by number
    free = {}, -- stack of slots nobody uses
    open_count = 0,
    asleep = false, -- the sleeping word is set, or a ring is on its way
    looking = false, -- the light thread looks once per turn
    unrung = false, -- and has to ring the server before
    looker = nil, -- semaphore of that thread, nil when there is none
    looks = false, -- it may look once per turn
    dozing = false, -- it waits for its semaphore, however long
    blind = 0, -- ends of a look in a row that brought nothing
    unseen = 0, -- looks left out since then
    waiters = 0, -- slots whose owner waits for the doorbell thread
    owed = {}, -- generations of events to be cancelled, by number of the slot
    room = {}, -- slots whose owner waits for room
    posted = 0, -- slots of events that were posted
    came = {}, -- slots of such events with a message to attend to
    near = false, -- who reads the ring now attends to them next
    expired = 0, -- when the last look for late ones was
    profiles = {}, -- by number of the instance, then of the phase
    held = {}, -- by number of an open instance: its config, weakly
    newest = {}, -- by plugin and entity: number of the newest instance
    replaced_ids = {}, -- set of those held that have a newer one
    closer = { -- what stands for a slot in messages of the session itself
      number = 0, generation = 0, out = msgpack.new_buffer(SHORT),
    },
    dismissed = false, -- the server told the pump that it stops
    closed = nil, -- why the session is over
  }, mt)
  self:start_counters(regions[layout.REGION_WORKER_COUNTERS].ptr, ticks_per_us)
  return self
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
      -- message under way to the server, and body of its message
      out = msgpack.new_buffer(SHORT, self.spares),
      inbox = msgpack.new_buffer(SHORT, self.spares),
      reader = msgpack.new_reader(), -- of the inbox
      began = false, -- generation of the event that was sent
      type = false, -- of the message in the inbox, false when it is empty
      unfinished = 0, -- bytes in the inbox of a message that is not whole
      polls = false, -- its owner looks by itself: see see_off.lua
    }
    self.slots[slot.number] = slot
  end
  local generation = slot.generation + 1
  slot.generation = generation < 2 ^ 32 and generation or 0
  slot.kind, slot.deadline, slot.open = kind, deadline, true
  slot.waiting, slot.type, slot.partial = false, false, false
  slot.code, slot.arg, slot.in_room = 0, 0, false
  slot.owner, slot.posted = nil, false
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
  return slot.open and slot.generation == generation
end


--- Wakes the owner of a slot, if it waits for a message.
-- @phases all
function Session:wake(slot)
  if slot.waiting then
    slot.waiting = false
    self.waiters = self.waiters - 1
    if slot.owner then
      self:arrived(slot)
    else
      slot.sema:post(1)
    end
  end
end


--- Notes that the owner of a slot does not wait any more.
-- @phases all
function Session:rest_over(slot)
  if slot.waiting then
    slot.waiting = false
    self.waiters = self.waiters - 1
  end
end


--- Gives a slot back: later messages for it are late. What the slot's reader
-- gave stays; the bytes it reads from may go. An event is counted as ended.
-- @phases all
-- @tparam table slot
-- @tparam number generation
-- @tparam boolean|nil failed the event ended badly
function Session:release(slot, generation, failed)
  if not owned(slot, generation) then
    return
  end
  slot.open, slot.saved, slot.owner = false, nil, nil
  if slot.unfinished > 0 then
    self:count_unfinished(slot, 0)
  end
  self:rest_over(slot)
  if slot.posted then
    slot.posted = false
    self.posted = self.posted - 1
  end
  slot.out:shed(SHORT)
  slot.inbox:shed(SHORT)
  self.open_count = self.open_count - 1
  self.free[#self.free + 1] = slot
  if self.closed then
    return
  end
  local c = self.counters
  c.open = self.open_count
  if slot.kind == TYPE_EVENT then
    c.events_done = c.events_done + 1
    c.event_ticks = c.event_ticks + (C.kongring_ticks() - slot.started)
    if failed then
      c.errors = c.errors + 1
    end
  end
  self:show_counters()
end


--- Ends the session: memory and descriptors are given back, every waiting
-- coroutine is woken and finds `closed`, and so does who gets the events that
-- nobody waits for. A second call does nothing.
-- @phases all
-- @tparam string reason for the log and for those who wait
function Session:close(reason)
  if self.closed then
    return
  end
  self.closed, self.looking, self.unrung = reason, false, false
  local attachment = self.attachment
  self:show_counters()
  self.out, self.inn, self.counters, self.attachment = nil, nil, nil, nil
  self.shown = nil
  attach.detach(attachment)
  self:wake_all()
end


--- Ends the session since the server broke a rule.
-- @phases all
-- @tparam string reason what it did
-- @return nil and the reason
function Session:damage(reason)
  ngx.log(ngx.ERR, "[kongring] session ", self.id, " closed: ", reason)
  self:close(reason)
  return nil, reason
end


--- Wakes everybody who waits, for an answer or for room, to look again. Events
-- that nobody waits for go to who can.
-- @phases all
function Session:wake_all()
  for i = 1, #self.slots do
    local slot = self.slots[i]
    if not self:give_away(slot) then
      self:wake(slot)
    end
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


--- Tells the server that nobody listens for its doorbell any more, since this
-- worker shuts down or has another session. From now on whoever waits looks by
-- itself. A pump goes on instead while it is needed.
-- @phases all
function Session:leave()
  if self.closed then
    return
  end
  local pumped = self.attachment.over
  if pumped then
    pumped:post(1)
  elseif not self.leaving then
    self.leaving = true
    sys.send(self.attachment.control, string.char(layout.LEAVE_BYTE), 1)
    self:wake_all()
  end
end


--- Yields until somebody posts the slot's semaphore, the time is over, or, when
-- no doorbell thread is left, it is time to look again; the caller looks
-- whatever came.
-- @phases those that may yield
-- @treturn boolean false when the slot is another's meanwhile
function Session:yield(slot, generation, seconds)
  if self.leaving then
    slot.polls = true
    seconds = min(seconds, POLL)
  end
  if not slot.sema:wait(max(seconds, 0.001)) and slot.sema:count() > 0 then
    slot.sema:wait(0) -- posted while the wait timed out
  end
  self.taken = 0
  if self.leaving and not self.closed and
     sys.hung_up(self.attachment.control) then
    self:drain(nil) -- what came before the hang-up counts
    self:close("the plugin server went away")
  end
  return slot.open and slot.generation == generation
end


--- Gives back the slots whose coroutine was killed: it would have left at the
-- deadline. The server is told of events, also of those that there was no room
-- for before. Memory that was not used since the last call goes, too, and so do
-- instances that nothing needs any more.
-- @phases all
function Session:sweep()
  self.spares:trim()
  self:show_counters()
  self:pay()
  self:close_unused()
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
-- of the slot, or the next sweep.
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
    self:send_cancel(slot, status, text)
  end
  self:release(slot, generation, true)
end


return _M
