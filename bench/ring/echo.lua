-- The LuaJIT side of the benchmark of the ring: answers each frame with itself.
-- Argument: number of frames. Descriptor 3 is the memory, as parts.go has it.

local ffi = require "ffi"
local layout = require "kongring.layout"
local ring = require "kongring.ring"


ffi.cdef [[
  void *mmap(void *addr, size_t length, int prot, int flags, int fd,
             int64_t offset);
]]


local CAPACITY = 512 * 1024
local SPIN = 100e6 -- ticks


local frames = tonumber(arg[1])
local size = layout.CONTROL_SIZE + CAPACITY
local second = bit.band(size + 4095, bit.bnot(4095))
local map = ffi.C.mmap(nil, 2 * second, 3, 1, 3, 0)
assert(ffi.cast("intptr_t", map) ~= -1, "mmap failed")
local mem = ffi.cast("uint8_t *", map)

local consumer = assert(ring.consumer(mem, size))
local producer = assert(ring.producer(mem + second, size))
for _ = 1, frames do
  while not consumer:spin(SPIN) do end
  local len = assert(consumer:read())
  if consumer:claim_wake() then
    error("somebody waits for room")
  end
  assert(producer:write(consumer.frame, len, consumer.more))
  if producer:claim_wake() then
    error("somebody sleeps")
  end
end
