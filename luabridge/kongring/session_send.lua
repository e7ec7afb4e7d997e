--- The sending half of a session.
--
-- Purpose: puts messages into the ring to the server, in pieces where they are
-- longer than a frame, and waits for room where there is none.
--
-- Called by: event.lua, posted.lua and instance.lua, as methods of the session.
-- Phases: all while there is room, else those that may yield.
--
-- @module kongring.session_send


local ffi = require "ffi"
local layout = require "kongring.layout"
local msgpack = require "kongring.msgpack"
local sys = require "kongring.sys"


local cast = ffi.cast
local copy = ffi.copy
local min = math.min
local next = next
local now = sys.now
local HEAD_SIZE = layout.HEAD_SIZE
local STATUS_DEADLINE = layout.STATUS_DEADLINE


-- longest text of a CANCEL in bytes; less in a small ring
local MAX_TEXT = 4096


local head_t = ffi.typeof("kongring_head *")


local _M = {}


--- Starts a message in the slot's buffer; the caller puts the body behind.
-- @phases all
-- @treturn table the buffer
function _M:begin(slot, kind, code, arg) -- luacheck: ignore self
  local b = slot.out
  local head = cast(head_t, b.data) -- no buffer is shorter
  head.type, head.code, head.slot = kind, code, slot.number
  head.generation, head.arg = slot.generation, arg
  b.len = HEAD_SIZE
  return b
end


--- Rings the server if it sleeps.
-- @phases all
-- @treturn boolean it did
function _M:wake_server()
  if self.out:claim_wake() then
    self.counters.doorbells = self.counters.doorbells + 1
    self.attachment.bell:ring()
    return true
  end
  return false
end


-- puts one frame into the ring; false when there is no room
local function try_frame(self, data, len, more)
  local ok, err = self.out:write(data, len, more)
  if ok then
    local c = self.counters
    c.frames_out = c.frames_out + 1
    c.bytes_out = c.bytes_out + len
    return true
  elseif ok == nil then
    return self:damage(err)
  end
  return false
end


-- sends one frame, and yields while there is no room
local function send_frame(self, slot, generation, data, len, more)
  local ok, err = try_frame(self, data, len, more)
  while ok == false do
    self:wake_server()
    if self.out:wait(len) then
      if now() >= slot.deadline then
        return nil, "timeout"
      end
      self.counters.full_waits = self.counters.full_waits + 1
      if not slot.in_room then
        slot.in_room = true
        self.room[#self.room + 1] = slot
      end
      if not self:yield(slot, generation, slot.deadline - now()) then
        return nil, "gone"
      end
      if self.closed then
        return nil, self.closed
      end
    end
    ok, err = try_frame(self, data, len, more)
  end
  return ok, err
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
    self:wake_server()
  end
  return send_frame(self, slot, generation, data, left, false)
end


--- Sends the message in the slot's buffer if it is one frame and there is room.
-- @phases all
-- @treturn boolean|nil whether it was sent; nil when the session is over
function _M:send_now(slot)
  local b = slot.out
  if b.len > self.out.max_payload then
    return false
  end
  return (try_frame(self, b.data, b.len, false))
end


--- Sends the message in the slot's buffer, of up to `max_message` bytes. The
-- server is rung by who waits for the answer, else by `wake_server`.
-- @phases all while there is room, else those that may yield
-- @treturn boolean|nil true
-- @treturn string|nil why not: "timeout" when the slot's deadline passed,
-- "gone" when the slot has another owner
function _M:send(slot, generation)
  if self.closed then
    return nil, self.closed
  end
  local b = slot.out
  local ok, err
  if b.len <= self.out.max_payload then
    ok, err = try_frame(self, b.data, b.len, false)
    if ok == false then
      -- not at once: the loop that waits for room would cut the compiled path
      ok, err = send_frame(self, slot, generation, b.data, b.len, false)
    end
  else
    ok, err = send_pieces(self, slot, generation)
  end
  return ok, err
end


--- Sends a CANCEL to the server, or remembers an event that it still works on
-- where there is no room. The slot's next use would end that event as well, but
-- may be long in coming.
-- @phases all
-- @tparam table slot of an event
-- @tparam number status one of `layout.STATUS_*`
-- @tparam string text for the plugin; a long one is cut
-- @treturn boolean whether it was sent
function _M:send_cancel(slot, status, text)
  local b = self:begin(slot, layout.TYPE_CANCEL, status, 0)
  local limit = min(MAX_TEXT, self.out.max_payload - HEAD_SIZE - 5)
  b:put_str(text:sub(1, limit))
  if self.out:write(b.data, b.len, false) then
    self.counters.frames_out = self.counters.frames_out + 1
    self:wake_server()
    return true
  end
  if slot.began == slot.generation then -- else the server never saw it
    self.owed[slot.number] = slot.generation
  end
  return false
end


--- Sends what there was no room for. What comes for a slot that was used again
-- is late, and does nothing.
-- @phases all, while the session is open
function _M:pay()
  local owed = self.owed
  local number, generation = next(owed)
  while number do
    local slot = { number = number, generation = generation,
                   out = msgpack.new_buffer(HEAD_SIZE, self.spares) }
    if not self:send_cancel(slot, STATUS_DEADLINE, "given up") then
      return
    end
    owed[number] = nil
    number, generation = next(owed)
  end
end


return _M
