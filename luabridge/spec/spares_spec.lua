-- Buffers of kongring.msgpack that share kongring.spares. Run by ring_test.go;
-- prints a line "ok NAME" or "not ok NAME: why" each.

local cases = require "spec.cases"
local msgpack = require "kongring.msgpack"
local spares = require "kongring.spares"


local MIB = 1024 * 1024


local case, equal = cases.case, cases.equal


-- puts a long string behind a short one and looks that both stand there
local function fill(b, bytes)
  local long = ("0123456789abcdef"):rep(bytes / 16)
  b:reset()
  b:put_str("short")
  b:put_str(long)
  local reader = msgpack.new_reader()
  reader:set(b.data, b.len)
  equal("short", reader:read_str(), "short string")
  equal(long, reader:read_str(), "long string")
end


case("the next long message has the memory of the last", function()
  local s = spares.new()
  local one, other = msgpack.new_buffer(256, s), msgpack.new_buffer(256, s)
  fill(one, MIB)
  local mem = one.mem
  one:shed(256)
  equal(256, one.cap, "room of a buffer that shed its memory")
  equal(0, one.len, "bytes in it")
  fill(other, MIB)
  equal(mem, other.mem, "memory")
  fill(one, MIB)
  assert(one.mem ~= mem, "two buffers have the same memory")
end)


case("short buffers keep their memory", function()
  local s = spares.new()
  local b = msgpack.new_buffer(256, s)
  fill(b, 1024)
  local mem = b.mem
  b:shed(256)
  equal(mem, b.mem, "memory")
  equal(0, #s.list, "spares")
end)


case("a buffer that grows piece by piece takes the longest memory", function()
  local s = spares.new()
  local b = msgpack.new_buffer(256, s)
  for _, bytes in ipairs({ 100000, 4 * MIB, 200000 }) do
    s:give(require("ffi").new("uint8_t[?]", bytes), bytes)
  end
  b:reserve(70000)
  equal(4 * MIB, b.cap, "room")
end)


case("what is kept has a limit, and the shortest goes", function()
  local s = spares.new()
  for i = 1, 6 do
    s:give("memory " .. i, i * MIB)
  end
  equal(4, #s.list, "spares")
  equal((3 + 4 + 5 + 6) * MIB, s.bytes, "bytes")
  s:give("long", 20 * MIB)
  equal(3, #s.list, "spares") -- 20 + 6 + 5; with 4 it would be too much
end)


case("memory that is longer than all may be is not kept", function()
  local s = spares.new()
  s:give("longest", 33 * MIB)
  equal(0, #s.list, "spares")
  equal(0, s.bytes, "bytes")
end)


case("what nobody needs for a while goes", function()
  local s = spares.new()
  s:give("one", MIB)
  s:give("two", 2 * MIB)
  s:trim()
  equal(2, #s.list, "spares that came since the last trim")
  s:give(s:take(MIB))
  s:trim()
  equal(1, #s.list, "spares after one was used")
  equal(2 * MIB, s.bytes, "bytes")
  s:trim()
  equal(0, #s.list, "spares after none was used")
  equal(0, s.bytes, "bytes")
end)


cases.finish()
