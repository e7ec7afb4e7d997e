-- What the scripts of this folder share: the segment on descriptor 3, the bell
-- that rings the Go side on 4, this side's own bell on 5, and random numbers.

local bit = require "bit"
local ffi = require "ffi"
local layout = require "kongring.layout"


local bxor = bit.bxor
local lshift = bit.lshift
local rshift = bit.rshift
local C = ffi.C


ffi.cdef [[
  void *mmap(void *addr, size_t length, int prot, int flags, int fd,
             int64_t offset);
  struct pollfd { int fd; short events; short revents; };
  int poll(struct pollfd *fds, unsigned long nfds, int timeout);
  intptr_t read(int fd, void *buf, size_t count);
  intptr_t send(int fd, const void *buf, size_t count, int flags);
  int memcmp(const void *a, const void *b, size_t n);
  int sched_yield(void);
  char *strerror(int errnum);
]]


local SEGMENT, RING, WAIT = 3, 4, 5
local PROT_READ_WRITE, MAP_SHARED = 3, 1
local POLLIN = 1
local EINTR, EAGAIN = 4, 11


local function fail(what)
  error(what .. ": " .. ffi.string(C.strerror(ffi.errno())))
end


local _M = {}


-- The memory and size of each region of the segment.
function _M.map()
  local function map(size)
    local mem = C.mmap(nil, size, PROT_READ_WRITE, MAP_SHARED, SEGMENT, 0)
    if ffi.cast("intptr_t", mem) == -1 then
      fail("mmap")
    end
    return ffi.cast("uint8_t *", mem)
  end

  local header = ffi.cast("kongring_header *", map(layout.HEADER_SIZE))
  assert(header.magic == layout.MAGIC and header.version == layout.VERSION)
  local mem = map(header.size)
  local regions = {}
  for i = 0, header.count - 1 do
    local r = header.regions[i]
    regions[i] = { mem = mem + r.offset, size = r.size }
  end
  return regions
end


local QUIETLY = 0x4040 -- MSG_DONTWAIT, MSG_NOSIGNAL
local one = ffi.new("uint8_t[1]", 1)
local rings = ffi.new("uint8_t[64]")
local fds = ffi.new("struct pollfd[1]", { { fd = WAIT, events = POLLIN } })


-- Rings the Go side.
function _M.ring()
  if C.send(RING, one, 1, QUIETLY) ~= 1 and ffi.errno() ~= EAGAIN then
    fail("ring")
  end
end


-- Sleeps until the Go side rings. Raises when it does not for that long.
function _M.wait(milliseconds)
  while C.poll(fds, 1, milliseconds) ~= 1 do
    if ffi.errno() ~= EINTR then
      error("nobody rings")
    end
  end
  if C.read(WAIT, rings, 64) < 0 and ffi.errno() ~= EAGAIN then
    fail("read")
  end
end


-- The random sequence that Go and Lua compute alike.
function _M.random(seed)
  local x = bit.tobit(seed)

  local function next()
    x = bxor(x, lshift(x, 13))
    x = bxor(x, rshift(x, 17))
    x = bxor(x, lshift(x, 5))
    return x
  end

  local function below(n)
    return rshift(next(), 8) % n
  end

  return next, below
end


return _M
