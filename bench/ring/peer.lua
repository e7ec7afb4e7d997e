-- The LuaJIT side of the benchmark of the ring.
-- Arguments: part ("answer", "read" or "write"), number of frames, bytes of
-- payload, "sleep" or "spin". Descriptor 3 is the memory, 4 and 5 are the
-- doorbells of the first and of this side, as parts.go has it.

local ffi = require "ffi"
local layout = require "kongring.layout"
local ring = require "kongring.ring"


ffi.cdef [[
  void *mmap(void *addr, size_t length, int prot, int flags, int fd,
             int64_t offset);
  long read(int fd, void *buf, size_t count);
  long send(int fd, const void *buf, size_t count, int flags);
  struct bench_pollfd { int fd; short events; short revents; };
  int poll(struct bench_pollfd *fds, unsigned long nfds, int timeout);
]]


local C = ffi.C
local CAPACITY = 512 * 1024
local SPIN = 100e6 -- ticks
local THEIRS, OURS = 4, 5 -- doorbells


local part, frames, payload = arg[1], tonumber(arg[2]), tonumber(arg[3])
local sleeps = arg[4] == "sleep"

local size = layout.CONTROL_SIZE + CAPACITY
local second = bit.band(size + 4095, bit.bnot(4095))
local map = C.mmap(nil, 2 * second, 3, 1, 3, 0)
assert(ffi.cast("intptr_t", map) ~= -1, "mmap failed")
local mem = ffi.cast("uint8_t *", map)

local consumer = assert(ring.consumer(mem, size))
local producer = assert(ring.producer(mem + second, size))


local QUIETLY = 0x4040 -- MSG_DONTWAIT, MSG_NOSIGNAL
local one = ffi.new("uint8_t[1]", 1)
local rings = ffi.new("uint8_t[64]")
local pollfd = ffi.new("struct bench_pollfd[1]", { { OURS, 1, 0 } })


local function rouse(claimed)
  if claimed then
    assert(sleeps, "somebody sleeps")
    C.send(THEIRS, one, 1, QUIETLY)
  end
end


local function doze()
  while C.read(OURS, rings, 64) < 0 do
    C.poll(pollfd, 1, -1)
  end
end


local function receive()
  while not consumer:ready() do
    if not sleeps then
      consumer:spin(SPIN)
    else
      local announced = consumer:sleep()
      rouse(consumer:claim_wake())
      if announced then
        doze()
        consumer:awake()
      end
    end
  end
  local len = assert(consumer:read())
  rouse(consumer:claim_wake())
  return len
end


local function send(data, len)
  local ok = producer:write(data, len, false)
  while ok == false do
    if sleeps and producer:wait(len) then
      doze()
    end
    ok = producer:write(data, len, false)
  end
  assert(ok, "the ring is corrupt")
  rouse(producer:claim_wake())
end


local buffer = ffi.new("uint8_t[?]", payload)
for i = 1, frames do
  if part == "write" then
    buffer[0] = (i - 1) % 256
    send(buffer, payload)
  else
    local len = receive()
    if part == "answer" then
      send(consumer.frame, len)
    end
  end
end
