-- What kongring.prefetch does with values that are too long. Run by
-- ring_test.go; prints a line "ok NAME" or "not ok NAME: why" each.

local cases = require "spec.cases"
local layout = require "kongring.layout"
local msgpack = require "kongring.msgpack"


-- the getter of method n gives what stands in values[n], and counts
local values, asked = {}, {}
local function method(n)
  return {
    call = function()
      asked[n] = (asked[n] or 0) + 1
      return values[n]
    end,
    put = function(b, v)
      b:put_str(v)
      return true
    end,
  }
end
local prefetch = require "kongring.prefetch"


local LIMIT = 16384


local equal = cases.equal


local function case(name, fn)
  cases.case(name, function()
    values, asked = {}, {}
    fn()
  end)
end


-- the profile of methods 1 to n, without arguments
local function profile_of(n)
  local b, reader = msgpack.new_buffer(256), msgpack.new_reader()
  b:put_u32(1)
  b:put_u32(LIMIT)
  b:put_u16(n)
  for i = 1, n do
    b:put_u16(i)
    b:put_array(0)
  end
  reader:set(b.data, b.len)
  return assert(prefetch.read(reader, method))
end


-- the values that one event gets, false for none
local function event(profile)
  local b, reader = msgpack.new_buffer(256), msgpack.new_reader()
  prefetch.put(profile, b)
  reader:set(b.data, b.len)
  equal(1, reader:read_u32(), "version")
  local got = {}
  for i = 1, reader:read_u16() do
    local size = reader:read_u32()
    got[i] = size ~= layout.NO_VALUE and reader:read_str()
  end
  equal(b.len, reader.pos, "bytes read")
  return got
end


case("a value that is too long is left out for some events", function()
  local p = profile_of(2)
  values[1], values[2] = ("x"):rep(LIMIT), "short"
  for i = 1, 34 do
    local got = event(p)
    equal(false, got[1], "value 1 of event " .. i)
    equal("short", got[2], "value 2 of event " .. i)
    equal(i == 34 and 2 or 1, asked[1], "times it was made by event " .. i)
  end
  equal(34, asked[2], "times that the short value was made")
end)


case("it is sent again once it is short", function()
  local p = profile_of(1)
  values[1] = ("x"):rep(LIMIT)
  event(p)
  values[1] = "short"
  for _ = 1, 32 do
    equal(false, event(p)[1], "value")
  end
  equal("short", event(p)[1], "value")
end)


case("one that only others leave no place for is tried each time", function()
  local p = profile_of(2)
  values[1], values[2] = ("x"):rep(LIMIT - 100), ("y"):rep(200)
  for i = 1, 3 do
    local got = event(p)
    equal(values[1], got[1], "value 1")
    equal(false, got[2], "value 2")
    equal(i, asked[2], "times it was made")
  end
end)


cases.finish()
