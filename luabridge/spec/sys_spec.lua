-- What kongring.sys does with descriptors that a server made up: the twins of
-- the cases of shm/hostile_test.go, guard_test.go and doorbell_test.go. Run by
-- ring_test.go; prints a line "ok NAME" or "not ok NAME: why" each.

local cases = require "spec.cases"
local bit = require "bit"
local ffi = require "ffi"
local layout = require "kongring.layout"
_G.ngx = { config = { subsystem = "http" } }
local sys = require "kongring.sys"


ffi.cdef [[
  int memfd_create(const char *, unsigned);
  int ftruncate(int, int64_t);
  int fcntl(int, int, ...);
  int pipe(int *);
  int open(const char *, int, ...);
  int eventfd(unsigned, int);
  ptrdiff_t write(int, const void *, size_t);
  int socketpair(int, int, int, int *);
  unsigned alarm(unsigned);
]]


local C = ffi.C
local ALLOW_SEALING, HUGETLB = 2, 4
local F_ADD_SEALS, F_SETFL, O_NONBLOCK = 1033, 4, 0x800
local SEAL, SHRINK, GROW = 1, 2, 4
local PAGE = 4096


local case, equal = cases.case, cases.equal


local function number(n)
  return ffi.cast("int", n)
end


local function forge(size, seals, flags)
  local fd = C.memfd_create("forged", bit.bor(ALLOW_SEALING, flags or 0))
  assert(fd >= 0, "memfd_create")
  equal(0, C.ftruncate(fd, size), "ftruncate")
  if seals ~= 0 then
    equal(0, C.fcntl(fd, F_ADD_SEALS, number(seals)), "seals")
  end
  return fd
end


local ALL = SEAL + SHRINK + GROW


-- what this process may do at an address: "rw-s", or nil
local function access(pointer)
  local at = tonumber(ffi.cast("uintptr_t", pointer))
  for line in io.lines("/proc/self/maps") do
    local from, to, what = line:match("^(%x+)-(%x+) (%S+)")
    if tonumber(from, 16) <= at and at < tonumber(to, 16) then
      return what
    end
  end
end


case("segment lies between guards", function()
  local fd = forge(6 * PAGE, ALL)
  local mem, size = sys.map(fd)
  sys.close(fd)
  equal(6 * PAGE, size)
  mem[0], mem[size - 1] = 1, 1
  equal("rw-s", access(mem))
  equal("rw-s", access(mem + size - 1))
  for _, beyond in ipairs { mem - 1, mem - PAGE, mem + size,
                            mem + size + PAGE } do
    equal("---p", access(beyond))
  end
  sys.unmap(mem, size)
  equal(nil, access(mem), "mapping")
  equal(nil, access(mem - 1), "guard in front")
  equal(nil, access(mem + size), "guard behind")
end)


local function refused(name, open, why)
  case(name, function()
    local fd = open()
    local mem, err = sys.map(fd)
    sys.close(fd)
    equal(nil, mem)
    assert(tostring(err):find(why, 1, true), err)
  end)
end


local UNSEALED = "the segment is not sealed"
for name, seals in pairs { none = 0, shrink = GROW + SEAL,
                           grow = SHRINK + SEAL, seal = SHRINK + GROW } do
  refused("seal that lacks: " .. name, function()
    return forge(6 * PAGE, seals)
  end, UNSEALED)
end

refused("empty file", function() return forge(0, ALL) end,
        "the segment has 0 bytes")

refused("file beyond the limit", function()
  return forge(2 * (layout.CONTROL_SIZE + layout.MAX_CAPACITY) + 128 * 1024,
               ALL)
end, "the segment has 537002752 bytes, the limit is")

refused("size that wraps round", function()
  return forge(2 ^ 32 + 6 * PAGE, ALL)
end, "the segment has 4294991872 bytes, the limit is")

refused("huge pages", function()
  return forge(2 ^ 30, ALL, HUGETLB)
end, "the segment is not in ordinary memory")

refused("pipe", function()
  local ends = ffi.new("int[2]")
  equal(0, C.pipe(ends))
  sys.close(ends[1])
  return ends[0]
end, UNSEALED)

refused("device", function() return C.open("/dev/zero", 2) end, UNSEALED)

refused("plain file", function() return C.open("/proc/self/exe", 0) end,
        UNSEALED)

refused("folder", function() return C.open("/", 0) end, UNSEALED)

refused("file that may not be written", function()
  local fd = forge(6 * PAGE, SHRINK + GROW)
  equal(0, C.fcntl(fd, F_ADD_SEALS, number(8 + SEAL)), "seal against writes")
  return fd
end, "failed to map the segment")


-- A ring never blocks: neither on what is full nor on what is no socket. The
-- alarm kills a spec that does.
local function rings(name, open)
  case("ring of " .. name, function()
    local fd = open()
    C.fcntl(fd, F_SETFL, number(0)) -- blocking
    C.alarm(10)
    for _ = 1, 10000 do
      sys.ring(fd)
    end
    C.alarm(0)
    sys.close(fd)
  end)
end


rings("a full eventfd", function()
  local fd = C.eventfd(0, O_NONBLOCK)
  local most = ffi.new("uint64_t[1]", -2ULL)
  equal(8, tonumber(C.write(fd, most, 8)))
  return fd
end)

rings("a full pipe", function()
  local ends = ffi.new("int[2]")
  equal(0, C.pipe(ends))
  C.fcntl(ends[1], F_SETFL, number(O_NONBLOCK))
  local chunk = ffi.new("char[4096]")
  repeat until C.write(ends[1], chunk, 4096) < 0
  return ends[1]
end)

rings("a socket that nobody reads", function()
  local ends = ffi.new("int[2]")
  equal(0, C.socketpair(1, 1, 0, ends))
  return ends[0]
end)


cases.finish()
