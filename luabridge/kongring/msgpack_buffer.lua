--- A growing buffer of bytes that is used again.
--
-- Purpose: memory for a message: it grows, takes raw little-endian numbers, and
-- takes long memory from the spares and gives it back. msgpack_writer.lua adds
-- MessagePack to it.
--
-- Called by: msgpack.lua. Phases: all; nothing here yields.
--
-- Memory: private to the worker; see msgpack.lua.
--
-- @module kongring.msgpack_buffer


local bit = require "bit"
local ffi = require "ffi"
local values = require "kongring.msgpack_values"


local setmetatable = setmetatable
local max = math.max
local arshift = bit.arshift
local band = bit.band
local rshift = bit.rshift
local tobit = bit.tobit
local cast = ffi.cast
local copy = ffi.copy
local to_string = ffi.string
local scratch = values.scratch


local bytes_t = ffi.typeof("uint8_t[?]")
local ptr_t = ffi.typeof("uint8_t *")


local buffer = {}
local buffer_mt = { __index = buffer }


-- a buffer longer than this takes its memory from the spares
local LONG = 64 * 1024


-- puts the buffer into other memory
local function move(self, mem, cap)
  copy(mem, self.data, self.len)
  -- data does not keep the memory it points to alive, mem does
  self.mem, self.data, self.cap = mem, cast(ptr_t, mem), cap
end


--- An empty buffer.
-- @phases all
-- @tparam number initial_bytes
-- @tparam table|nil spares where memory of long messages comes from and goes to
local function new(initial_bytes, spares)
  local self = setmetatable({
    data = cast(ptr_t, 0), len = 0, spares = spares,
  }, buffer_mt)
  local cap = initial_bytes > 0 and initial_bytes or 1
  move(self, ffi.new(bytes_t, cap), cap)
  return self
end


--- Gives the memory of a long buffer to the spares. What is in it is gone.
-- @tparam number cap bytes that the buffer has room for afterwards
function buffer:shed(cap)
  if self.cap > LONG then
    self.spares:give(self.mem, self.cap)
    self.len = 0
    move(self, ffi.new(bytes_t, cap), cap)
  end
end


-- makes room for `need` bytes in all
local function grow(self, need)
  local mem, cap
  if self.spares and need > LONG then
    mem, cap = self.spares:take(need)
  end
  if not mem then
    -- a little more than is needed: the next message is as long, or nearly
    cap = max(2 * self.cap, need + arshift(need, 3))
    mem = ffi.new(bytes_t, cap)
  end
  move(self, mem, cap)
end


function buffer:reset()
  self.len = 0
end


function buffer:tostring()
  local s = to_string(self.data, self.len)
  return s
end


--- Makes room for n more bytes.
function buffer:reserve(n)
  local need = self.len + n
  if need > self.cap then
    grow(self, need)
  end
end


function buffer:put_u8(v)
  self:reserve(1)
  self.data[self.len] = band(v, 0xff)
  self.len = self.len + 1
end


--- Raw little-endian, as are put_u32 and set_u32.
function buffer:put_u16(v)
  self:reserve(2)
  local data, len = self.data, self.len
  data[len] = band(v, 0xff)
  data[len + 1] = band(rshift(v, 8), 0xff)
  self.len = len + 2
end


function buffer:put_u32(v)
  self:reserve(4)
  scratch.i32[0] = tobit(v)
  copy(self.data + self.len, scratch, 4)
  self.len = self.len + 4
end


--- Overwrites four of the bytes written, such as a length known only later.
function buffer:set_u32(offset, v)
  assert(offset >= 0 and offset + 4 <= self.len, "no such bytes written")
  scratch.i32[0] = tobit(v)
  copy(self.data + offset, scratch, 4)
end


return {
  new = new,
  methods = buffer,
}
