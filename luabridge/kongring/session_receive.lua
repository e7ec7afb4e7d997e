--- The receiving half of a session.
--
-- Purpose: takes messages out of the ring from the server, checks them, and
-- hands each to the slot that it is for.
--
-- Called by: session_wait.lua and event.lua, as methods of the session. Phases:
-- all; nothing here yields.
--
-- @module kongring.session_receive


local ffi = require "ffi"
local layout = require "kongring.layout"
local pdk = require "kongring.pdk"
local prefetch = require "kongring.prefetch"
local saved = require "kongring.saved"
local trace = require "kongring.trace"
local turn = require "kongring.turn"


local cast = ffi.cast
local copy = ffi.copy
local cut = trace.cut
local fmt = string.format
local keep_awake = turn.keep_awake
local HEAD_SIZE = layout.HEAD_SIZE
local PHASE_LOG = layout.PHASE.log
local TYPE_CALL = layout.TYPE_CALL
local TYPE_EXIT = layout.TYPE_EXIT
local TYPE_DONE = layout.TYPE_DONE
local TYPE_START = layout.TYPE_START
local TYPE_STARTED = layout.TYPE_STARTED
local TYPE_PROFILE = layout.TYPE_PROFILE
local TYPE_DISMISS = layout.TYPE_DISMISS
local STATUS_OK = layout.STATUS_OK


-- Frames that are taken without a yield in between: more than the answers to
-- all slots, or one in pieces of a small ring, so a server that never stops is
-- found out. A profile counts as so many, since it is that much work.
local MAX_FRAMES = 100000
local PROFILE_FRAMES = 20


local head_t = ffi.typeof("const kongring_head *")


local _M = {}


--- Gives the server's writers the room that was read free.
-- @phases all
function _M:claim_writer()
  if self.inn:claim_wake() then
    self.counters.doorbells = self.counters.doorbells + 1
    self.attachment.bell:ring()
  end
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
  self.taken = self.taken + PROFILE_FRAMES
  if inn.more then
    return self:damage("profile in pieces")
  end
  if not self.started[head.arg] then -- else there could be any number of them
    return self:damage(fmt("profile of instance %d, which was never started",
                            head.arg))
  end
  reader:set(inn.frame + HEAD_SIZE, len - HEAD_SIZE)
  local find = head.code == PHASE_LOG and saved.method_now or pdk.method
  local profile, err = prefetch.read(reader, find)
  if not profile then
    return self:damage(err)
  end
  local of_instance = self.profiles[head.arg]
  if not of_instance then
    of_instance = {}
    self.profiles[head.arg] = of_instance
  end
  of_instance[head.code] = profile.n > 0 and profile or nil
  return false
end


--- Notes how many bytes of an unfinished message a slot holds.
-- @phases all
-- @treturn number the bytes that all slots hold
function _M:count_unfinished(slot, bytes)
  self.unfinished = self.unfinished + bytes - slot.unfinished
  slot.unfinished = bytes
  return self.unfinished
end


-- takes in that the server stops: the pump has the session replaced
local function take_dismissal(self)
  self.dismissed = true
  self.attachment.over:post(1)
  keep_awake()
  return false
end


--- What goes to the server along with an event.
-- @phases all
-- @tparam number instance its number
-- @tparam number phase its number
-- @treturn table|nil the profile, for `kongring.prefetch`
function _M:profile(instance, phase)
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
      return self:damage(err)
    end
    return nil
  end
  local c = self.counters
  c.frames_in = c.frames_in + 1
  c.bytes_in = c.bytes_in + len
  self.taken = self.taken + 1
  if self.taken > MAX_FRAMES then
    return self:damage("more than " .. MAX_FRAMES .. " frames in one turn")
  end

  if len < HEAD_SIZE then
    return self:damage("message of " .. len .. " bytes")
  end
  local head = cast(head_t, inn.frame)
  local kind, slot = head.type, self.slots[head.slot]
  if kind == TYPE_PROFILE then
    return take_profile(self, head, len)
  end
  if not slot then
    if kind == TYPE_DISMISS and self.attachment.over then
      return take_dismissal(self)
    end
    return self:damage(fmt("type %d for slot %d, which was never opened", kind,
                            head.slot))
  end
  if not slot.open or head.generation ~= slot.generation then
    c.late_frames = c.late_frames + 1
    if kind == TYPE_STARTED and head.code == STATUS_OK then
      self:hold(head.arg) -- nobody waits for it: it is closed
    end
    return false
  end
  local wrong = fault(slot, kind)
  if wrong then
    return self:damage(wrong)
  end

  local b = slot.inbox
  if not slot.partial then
    b:reset()
    slot.code, slot.arg = head.code, head.arg
  elseif head.code ~= slot.code or head.arg ~= slot.arg then
    return self:damage(fmt("pieces of two messages in slot %d", slot.number))
  end
  local n = len - HEAD_SIZE
  if b.len + n > self.max_message then
    return self:damage(fmt("message of more than %d bytes in slot %d",
                            self.max_message, slot.number))
  end
  if inn.more or slot.partial then
    local held = self:count_unfinished(slot, inn.more and
                                            slot.unfinished + n or 0)
    if held > 4 * self.max_message then
      return self:damage(fmt("%d bytes of unfinished messages, the limit is " ..
                             "%d", held, 4 * self.max_message))
    end
  end
  b:reserve(n)
  copy(b.data + b.len, inn.frame + HEAD_SIZE, n)
  b.len = b.len + n
  slot.partial = inn.more and kind
  if inn.more then
    return false
  end
  slot.type = kind
  if kind == TYPE_STARTED and slot.code == STATUS_OK then
    self.started[slot.arg] = true
  end
  slot.reader:set(b.data, b.len)
  return slot
end


--- Takes one frame out of the ring, which is there; goes on as `drain` where it
-- is not the message for one slot.
-- @phases all
-- @tparam table own that slot
-- @treturn boolean|nil whether its message is there; nil when the session is
-- over
-- @treturn string|nil why it is
function _M:take(own)
  local slot, err = take(self)
  if slot == own then
    self:claim_writer()
    return true
  elseif slot == nil and err then
    return nil, err
  elseif slot then
    self:wake(slot)
  end
  return self:drain(own)
end


--- Empties the ring up to a message for one slot; wakes the owners of others.
-- @phases all
-- @tparam table|nil own that slot
-- @treturn boolean|nil whether its message is there; nil when the session is
-- over
-- @treturn string|nil why it is
function _M:drain(own)
  while true do
    local slot, err = take(self)
    if slot and slot == own then
      self:claim_writer()
      return true
    elseif slot then
      self:wake(slot)
      cut() -- or all of take, some times over, would be one trace, too long
    elseif slot == nil then
      if err then
        return nil, err
      end
      self:claim_writer()
      return false
    end
  end
end


return _M
