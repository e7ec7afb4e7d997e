-- The cases of server/stream_test.go for kongring.stream, and what it does with
-- a full ring. Run by ring_test.go; prints a line "ok NAME" or
-- "not ok NAME: why" each.

local cases = require "spec.cases"
local ffi = require "ffi"
local layout = require "kongring.layout"
local ring = require "kongring.ring"
local stream = require "kongring.stream"


local CAPACITY = layout.MIN_CAPACITY
local LIMIT = CAPACITY / 4 - layout.WORD_SIZE


local case, equal = cases.case, cases.equal


local function new_ring()
  local size = layout.CONTROL_SIZE + CAPACITY
  local mem = ffi.new("uint64_t[?]", size / 8)
  assert(ring.format(mem, size))
  local p = assert(ring.producer(mem, size))
  local c = assert(ring.consumer(mem, size))
  p.memory, c.memory = mem, mem
  return p, c
end


-- a session whose ring takes frames apart into a list
local function new_session(consumer)
  local s = { frames = {}, answers = 0 }
  function s:answer()
    self.answers = self.answers + 1
    while true do
      local len, err = consumer:read()
      assert(len ~= nil, err)
      if not len then
        return
      end
      self.frames[#self.frames + 1] = ffi.string(consumer.frame, len) ..
                                      (consumer.more and "+" or ".")
    end
  end
  return s
end


local function bytes(text)
  local mem = ffi.new("uint8_t[?]", #text + 1)
  ffi.copy(mem, text)
  return mem
end


-- frames as strings that end in "+" where another one continues them
local function gathered(frames, most)
  local p, c = new_ring()
  local mem = ffi.new("uint8_t[?]", 4096)
  local text = ""
  for _, frame in ipairs(frames) do
    assert(p:write(frame, #frame - 1, frame:sub(-1) == "+"))
  end
  repeat
    local n = assert(stream.gather(c, ffi.cast("uint8_t *", mem), most))
    text = text .. ffi.string(mem, n)
  until n == 0
  return text
end


local some = { "one+", ".", ("x"):rep(LIMIT) .. "+", "last." }


case("a stream is words and payloads", function()
  equal("\3\0\0\32one\4\0\0\0last", gathered({ "one+", "last." }, 4000))
end)


case("gather stops at its bound", function()
  local p, c = new_ring()
  local mem = ffi.new("uint8_t[?]", 64)
  for _ = 1, 5 do
    assert(p:write("0123456789", 10, false))
  end
  equal(28, stream.gather(c, ffi.cast("uint8_t *", mem), 20))
  equal(28, stream.gather(c, ffi.cast("uint8_t *", mem), 20))
  equal(14, stream.gather(c, ffi.cast("uint8_t *", mem), 20))
  equal(0, stream.gather(c, ffi.cast("uint8_t *", mem), 20))
end)


case("the same frames wherever the stream is cut", function()
  local text = gathered(some, 4000)
  for cut = 0, #text do
    local p, c = new_ring()
    local s = new_session(c)
    local used = assert(stream.split(s, p, bytes(text:sub(1, cut)), cut))
    assert(used <= cut, "more bytes were used than there are")
    local rest = text:sub(used + 1)
    equal(#rest, stream.split(s, p, bytes(rest), #rest), "cut at " .. cut)
    s:answer()
    equal(table.concat(some, "|"), table.concat(s.frames, "|"),
          "cut at " .. cut)
  end
end)


case("a full ring is emptied", function()
  local p, c = new_ring()
  local s = new_session(c)
  local want = {}
  for i = 1, 50 do
    want[i] = ("%03d"):format(i) .. ("y"):rep(i * 4) .. "."
  end
  local text = ""
  for _, frame in ipairs(want) do
    text = text .. string.char(#frame - 1, 0, 0, 0) .. frame:sub(1, -2)
  end
  equal(#text, stream.split(s, p, bytes(text), #text))
  assert(s.answers > 3, "the ring holds more than it can")
  s:answer()
  equal(table.concat(want, "|"), table.concat(s.frames, "|"))
end)


case("a session that closes meanwhile", function()
  local p = new_ring()
  local s = { closed = false, answer = function(self) self.closed = "why" end }
  local text = ("\200\0\0\0" .. ("z"):rep(200)):rep(8)
  local used, err = stream.split(s, p, bytes(text), #text)
  assert(used and used < #text and not err, err)
end)


for name, c in pairs({
  ["one byte too long"] = { string.char(LIMIT + 1, 0, 0, 0), "000000fd" },
  ["length of all bits"] = { "\255\255\255\31", "1fffffff" },
  ["committed"] = { "\1\0\0\128x", "80000001" },
  ["pad"] = { "\1\0\0\64x", "40000001" },
}) do
  case("refuses a word: " .. name, function()
    local p, consumer = new_ring()
    local s = new_session(consumer)
    local text = "\1\0\0\0a" .. c[1]
    local used, err = stream.split(s, p, bytes(text), #text)
    equal(nil, used, "result")
    equal("frame word 0x" .. c[2] .. " on the socket: the limit is 252 bytes",
          err)
  end)
end


cases.finish()
