--- A ring of frames in shared memory: the Lua side of the Go package ring.
--
-- Purpose: the same words, invariants (I1 to I8) and ordered pairs (P1 to P4)
-- as ring/doc.go, which explains them; ring/layout.go draws a frame. One side
-- is the producer of a ring, the other its consumer.
--
-- Called by: the session. Phases: all; nothing here yields, waits or rings.
--
-- Memory: the caller keeps the memory mapped until after the last call of a
-- handle, which only holds a pointer. Words that both sides use go through
-- the C helper; the payload is copied with ffi.copy, on the private side of
-- an ordered access. Positions are int32 numbers that wrap as Go's uint32 do.
-- A call that LuaJIT has compiled allocates nothing.
--
-- Damage: what the peer wrote is checked before use. Once a rule was broken,
-- `nil, err` comes from every read and write of that handle.
--
-- @module kongring.ring


local bit = require "bit"
local ffi = require "ffi"
local helper = require "kongring.helper"
local layout = require "kongring.layout"


local error = error
local setmetatable = setmetatable
local tonumber = tonumber
local fmt = string.format
local band = bit.band
local bnot = bit.bnot
local bor = bit.bor
local rshift = bit.rshift
local tobit = bit.tobit
local tohex = bit.tohex
local cast = ffi.cast
local copy = ffi.copy
local fill = ffi.fill
local max = math.max
local min = math.min
local C = helper.C


local COMMITTED = tobit(layout.COMMITTED)
local PAD = layout.PAD
local MORE = layout.MORE
local COMMITTED_OR_PAD = bor(COMMITTED, PAD)
local LENGTH_MASK = layout.LENGTH_MASK
local ALIGNMENT = layout.ALIGNMENT
local WORD_SIZE = layout.WORD_SIZE
local CONTROL_SIZE = layout.CONTROL_SIZE
local MIN_CAPACITY = layout.MIN_CAPACITY
local MAX_CAPACITY = layout.MAX_CAPACITY
local START = tobit(layout.START)

local ROUND = WORD_SIZE + ALIGNMENT - 1
local ROUND_MASK = bnot(ALIGNMENT - 1)

-- advance clears in steps, a cache line and the length of the last frame
-- ahead, the latter up to CLEAR_MOST
local CLEAR_STEP = 256
local CLEAR_MASK = bnot(CLEAR_STEP - 1)
local CLEAR_MORE = 64 + CLEAR_STEP - 1
local CLEAR_MOST = 1024


-- bytes that a frame with a payload of n bytes takes
local function frame_size(n)
  local size = band(n + ROUND, ROUND_MASK) -- no tail call: see event.lua
  return size
end


-- the fields that both handles have, or nil and what is wrong
local function open(ptr, size)
  local capacity = size - CONTROL_SIZE
  if not (capacity >= MIN_CAPACITY and capacity <= MAX_CAPACITY) or
     band(capacity, capacity - 1) ~= 0 then
    return nil, "memory does not hold a ring: " .. size .. " bytes leave " ..
                "a capacity of " .. capacity .. ", not a power of two from " ..
                MIN_CAPACITY .. " to " .. MAX_CAPACITY
  end
  local base = cast("uint8_t *", ptr)
  if tonumber(cast("uintptr_t", base) % ALIGNMENT) ~= 0 then
    return nil, "memory does not hold a ring: not aligned to " ..
                ALIGNMENT .. " bytes"
  end

  return {
    -- immutable
    capacity = capacity,
    mask = capacity - 1,
    max_payload = capacity / 4 - WORD_SIZE,
    data = base + CONTROL_SIZE,
    words = cast("uint32_t *", base + CONTROL_SIZE),
    consumed_word = cast("uint32_t *", base +
                         ffi.offsetof("kongring_control", "consumed")),
    sleeping_word = cast("uint32_t *", base +
                         ffi.offsetof("kongring_control", "sleeping")),
    starved_word = cast("uint32_t *", base +
                        ffi.offsetof("kongring_control", "starved")),

    -- owned by this side
    pos = START, -- where the next frame starts
    err = nil, -- set once the peer broke a rule
  }
end


local Producer = {}
Producer.__index = Producer


-- whether the next n bytes are free; reads the shared position only when the
-- private copy says no
local function reserve(self, n)
  local err = self.err
  if err then
    return nil, err
  end

  local known = tobit(self.pos - self.consumed)
  if self.capacity - known >= n then
    return true
  end

  -- sync P2: the consumer is done with the bytes below (acquire); pairs with
  -- its publish
  local consumed = tobit(C.kongring_load(self.consumed_word))
  local in_use = tobit(self.pos - consumed)
  if in_use < 0 or in_use > known or band(consumed, ALIGNMENT - 1) ~= 0 then
    self.err = fmt("ring is corrupt: consumed position 0x%s is not between " ..
                   "0x%s and 0x%s", tohex(consumed), tohex(self.consumed),
                   tohex(self.pos))
    return nil, self.err
  end

  self.consumed = consumed
  return self.capacity - in_use >= n
end


-- Moves past a published frame of n bytes and clears what the next one will
-- probably take. Nobody needs the zeros (I4 looks after its word itself): the
-- stores take the cache lines away from the consumer while it has the frame to
-- read, and the next write, which would have to wait for them, is over sooner.
-- The word at the new position is left alone: the consumer polls it already.
-- There is no branch in here: one that goes either way would tear the caller's
-- loop into many traces.
local function advance(self, n)
  local pos = tobit(self.pos + n)
  local ahead = max(tobit(self.zeroed - pos), WORD_SIZE)
  local from = tobit(pos + ahead)
  local goal = band(pos + min(n, CLEAR_MOST) + CLEAR_MORE, CLEAR_MASK)
  local offset = band(from, self.mask)
  local left = min(tobit(goal - from),
                   self.capacity - tobit(from - self.consumed), -- I2
                   self.capacity - offset) -- the rest another time
  left = max(left, 0)
  fill(self.data + offset, left)
  self.zeroed = tobit(from + left)
  self.pos = pos
end


--- Copies a payload into the ring as one frame and publishes it.
-- Wakes nobody: after one or several writes the caller asks `claim_wake`.
-- @phases all
-- @tparam cdata|string data the payload
-- @tparam number len its length in bytes, `max_payload` at most; raises above
-- @tparam boolean more marks a piece that another frame continues
-- @treturn boolean|nil true; false when there is no room now, and nothing
-- changed; nil when the peer broke a rule
-- @treturn string|nil what the peer did
function Producer:write(data, len, more)
  if len < 0 or len > self.max_payload then
    error("ring: frame of " .. len .. " bytes: the limit is " ..
          self.max_payload, 2)
  end

  local size = frame_size(len)
  local offset = band(self.pos, self.mask)
  local at, pad = offset, 0
  local room = self.capacity - offset
  if size > room then
    at, pad = 0, room
  end
  local ok, err = reserve(self, pad + size + ALIGNMENT)
  if not ok then
    return ok, err
  end

  -- I4: the word where the next frame will start, in free space, is cleared
  -- before this one is published. A plain store: the helper's call below is
  -- a barrier to the compiler and a release to the processor.
  local words = self.words
  words[rshift(band(at + size, self.mask), 2)] = 0
  copy(self.data + at + WORD_SIZE, data, len)
  local word = bor(COMMITTED, len)
  if more then
    word = bor(word, MORE)
  end
  -- sync P1: publishes the payload and the cleared next word (release); pairs
  -- with the consumer's load
  C.kongring_store(words + rshift(at, 2), word)
  if pad > 0 then
    -- the frame stands at the front already; the consumer polls the word
    -- here, so this store (P1 too) publishes both
    C.kongring_store(words + rshift(offset, 2),
                     bor(COMMITTED_OR_PAD, pad - WORD_SIZE))
  end
  advance(self, pad + size)
  return true
end


--- Takes over the duty to ring the consumer's doorbell.
-- Called after `write`; true at most once for each time it went to sleep.
-- @phases all
-- @treturn boolean the consumer sleeps, and this side has to ring it
function Producer:claim_wake()
  -- sync P3: the frames are stored before this load (full fence); pairs with
  -- the consumer's sleep
  C.kongring_fence()
  return C.kongring_load(self.sleeping_word) == 1 and
         C.kongring_exchange(self.sleeping_word, 0) == 1
end


--- Announces that this side is about to wait for room.
-- After true, the consumer rings this side once it gave bytes back; the caller
-- tries `write` again after any wake-up.
-- @phases all
-- @tparam number len of the payload that waits
-- @treturn boolean false when there is nothing to wait for: room is there, or
-- `write` has an error to give
function Producer:wait(len)
  -- sync P4: announced before the second look at consumed (full fence); pairs
  -- with the consumer's claim_wake
  C.kongring_store(self.starved_word, 1)
  C.kongring_fence()
  local size = frame_size(len)
  local pad = 0
  local room = self.capacity - band(self.pos, self.mask)
  if size > room then
    pad = room
  end
  if reserve(self, pad + size + ALIGNMENT) ~= false then
    C.kongring_store(self.starved_word, 0)
    return false
  end
  return true
end


local Consumer = {}
Consumer.__index = Consumer


local function corrupt(self, what, offset, word)
  self.err = fmt("ring is corrupt: %s at offset %d of %d: commit word 0x%s",
                 what, offset, self.capacity, tohex(word))
  return nil, self.err
end


-- gives the bytes that were read back to the producer
local function publish(self)
  if self.published ~= self.pos then
    -- sync P2: the copies out of the ring come before this store (release);
    -- pairs with the producer's reserve
    C.kongring_store(self.consumed_word, self.pos)
    self.published = self.pos
  end
end


--- Tells whether `read` would give a frame or an error.
-- @phases all
-- @treturn boolean
function Consumer:ready()
  return self.err ~= nil or
         C.kongring_load(self.words +
                         rshift(band(self.pos, self.mask), 2)) ~= 0
end


--- Looks for a frame until one is there or that many ticks of the helper's
-- clock are over.
-- @phases all, but it keeps the worker
-- @tparam number ticks
-- @treturn boolean one is there, or an error
function Consumer:spin(ticks)
  return self.err ~= nil or
         C.kongring_spin(self.words +
                         rshift(band(self.pos, self.mask), 2), 0, ticks) ~= 0
end


--- Copies the next frame into `self.frame`, a buffer of `max_payload` bytes
-- of this handle, and gives its bytes back to the producer. The payload stays
-- until the next read, and the peer cannot change it any more. `self.more`
-- tells whether another frame continues it.
-- @phases all
-- @treturn number|boolean|nil the payload's length; false when no frame is
-- there; nil when the peer broke a rule
-- @treturn string|nil what the peer did
function Consumer:read()
  if self.err then
    return nil, self.err
  end

  local words = self.words
  local offset = band(self.pos, self.mask)
  -- sync P1: the payload was stored before the word (acquire); pairs with the
  -- producer's write. The word is loaded once and checked before use: the
  -- peer may change it at any moment.
  local word = tobit(C.kongring_load(words + rshift(offset, 2)))
  if word == 0 then
    return false
  end

  local capacity = self.capacity
  local pad = 0
  if band(word, PAD) ~= 0 then
    -- I5: a pad reaches the end of the buffer exactly, is shorter than the
    -- longest frame, and a frame stands behind it
    pad = capacity - offset
    if word ~= bor(COMMITTED_OR_PAD, pad - WORD_SIZE) or
       pad > self.max_payload then
      return corrupt(self, "pad frame", offset, word)
    end
    offset = 0
    word = tobit(C.kongring_load(words)) -- P1 too
    if word == 0 then
      return corrupt(self, "no frame behind a pad", offset, word)
    end
  end

  local length = band(word, LENGTH_MASK)
  if band(word, COMMITTED_OR_PAD) ~= COMMITTED or
     length > self.max_payload or frame_size(length) > capacity - offset then
    return corrupt(self, "frame", offset, word)
  end
  copy(self.frame, self.data + offset + WORD_SIZE, length)
  self.more = band(word, MORE) ~= 0

  local pos = tobit(self.pos + pad + frame_size(length))
  self.pos = pos
  if tobit(pos - self.published) >= self.quarter then
    publish(self)
  end
  return length
end


--- Takes over the duty to ring the producer's doorbell.
-- Called after `read` and after `sleep`.
-- @phases all
-- @treturn boolean the producer waits for room, and this side has to ring it
function Consumer:claim_wake()
  -- sync P4: consumed is stored before this load (full fence); pairs with the
  -- producer's wait. Only a newly stored position needs the fence: about an
  -- older one, the load after its fence has told.
  if self.fenced ~= self.published then
    C.kongring_fence()
    self.fenced = self.published
  end
  return C.kongring_load(self.starved_word) == 1 and
         C.kongring_exchange(self.starved_word, 0) == 1
end


--- Announces that this side is about to sleep.
-- After true, the producer rings this side's doorbell with its next frame;
-- whatever ends the sleep, the caller calls `awake` next.
-- @phases all
-- @treturn boolean false when a frame is there already: nothing to wait for
function Consumer:sleep()
  publish(self)
  -- sync P3: announced before the second look at the ring (full fence); pairs
  -- with the producer's claim_wake
  C.kongring_store(self.sleeping_word, 1)
  C.kongring_fence()
  self.fenced = self.published -- P4: this fence serves claim_wake as well
  if self:ready() then
    self:awake()
    return false
  end
  return true
end


--- Takes the announcement of `sleep` back.
-- A producer that was quicker rings once more than needed; the caller has to
-- bear that.
-- @phases all
function Consumer:awake()
  C.kongring_store(self.sleeping_word, 0)
end


local _M = {}


--- Makes an empty ring in memory that is all zeros, before its first handle.
-- @phases all
-- @tparam cdata ptr start of the memory
-- @tparam number size of it in bytes
-- @treturn boolean|nil true
-- @treturn string|nil why the memory does not hold a ring
function _M.format(ptr, size)
  local self, err = open(ptr, size)
  if not self then
    return nil, err
  end
  C.kongring_store(self.consumed_word, START)
  return true
end


--- The writing handle of a formatted ring that was not yet written to.
-- @phases all
-- @tparam cdata ptr start of the ring's memory, which stays mapped
-- @tparam number size of the memory in bytes
-- @treturn table|nil the producer
-- @treturn string|nil why the memory does not hold a ring
function _M.producer(ptr, size)
  local self, err = open(ptr, size)
  if not self then
    return nil, err
  end
  self.consumed = START -- the last shared position that was checked
  self.zeroed = START -- what was cleared ahead of pos ends here
  return setmetatable(self, Producer)
end


--- The reading handle of a formatted ring that was not yet read from.
-- @phases all
-- @tparam cdata ptr start of the ring's memory, which stays mapped
-- @tparam number size of the memory in bytes
-- @treturn table|nil the consumer
-- @treturn string|nil why the memory does not hold a ring
function _M.consumer(ptr, size)
  local self, err = open(ptr, size)
  if not self then
    return nil, err
  end
  self.published = START -- the last position stored into the shared word
  self.fenced = START -- the last one that a full fence followed
  self.quarter = self.capacity / 4
  self.frame = ffi.new("uint8_t[?]", self.max_payload)
  self.more = false
  return setmetatable(self, Consumer)
end


return _M
