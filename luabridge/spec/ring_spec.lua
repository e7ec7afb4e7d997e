-- The cases of ring/ring_test.go and ring/hostile_test.go for kongring.ring.
-- Run by ring_test.go; prints a line "ok NAME" or "not ok NAME: why" each.

local cases = require "spec.cases"
local bit = require "bit"
local ffi = require "ffi"
local jit = require "jit"
local vmdef = require "jit.vmdef"
local layout = require "kongring.layout"
local helper = require "kongring.helper"
local ring = require "kongring.ring"


local C = helper.C
local bor = bit.bor
local band = bit.band
local tobit = bit.tobit
local fmt = string.format


local case, equal = cases.case, cases.equal


local function corrupt(ok, err, why)
  equal(nil, ok, "result")
  why = "ring is corrupt: " .. (why or "")
  equal(why, tostring(err):sub(1, #why), "error")
end


-- a ring in memory of this process
local function new_ring(capacity)
  local size = layout.CONTROL_SIZE + capacity
  local mem = ffi.new("uint64_t[?]", size / 8)
  local control = ffi.cast("kongring_control *", mem)
  assert(ring.format(mem, size))
  equal(layout.START, control.consumed, "consumed")
  local p = assert(ring.producer(mem, size))
  local c = assert(ring.consumer(mem, size))
  p.memory, c.memory = mem, mem -- a handle keeps no cdata alive itself
  return p, c, control, ffi.cast("uint32_t *", control + 1)
end


-- a payload of n bytes that differs with its number
local function pattern(number, n)
  local t = {}
  for i = 0, n - 1 do
    t[i + 1] = string.char((number * 31 + i * 7) % 256)
  end
  return table.concat(t)
end


local function write(p, payload, more)
  return p:write(payload, #payload, more)
end


local function read(c)
  local n, err = c:read()
  return n and ffi.string(c.frame, n), err
end


case("geometry is checked", function()
  for _, n in ipairs { 0, 1, layout.CONTROL_SIZE, layout.CONTROL_SIZE + 512,
                       layout.CONTROL_SIZE + 1025,
                       layout.CONTROL_SIZE + 3072 } do
    local mem = ffi.new("uint64_t[?]", n / 8 + 1)
    for _, open in ipairs { ring.producer, ring.consumer } do
      local handle, err = open(mem, n)
      equal(nil, handle, n .. " bytes")
      equal("memory does not hold a ring: ", err:sub(1, 29))
    end
  end
  local mem = ffi.new("uint64_t[?]", 1 + (layout.CONTROL_SIZE + 1024) / 8)
  local _, err = ring.producer(ffi.cast("uint8_t *", mem) + 4,
                               layout.CONTROL_SIZE + 1024)
  equal("memory does not hold a ring: not aligned to 8 bytes", err)
end)


case("frames come out as they went in", function()
  local p, c = new_ring(1024)
  for i = 0, 4999 do -- many laps, and the wrap of the position
    local payload = pattern(i, i % (p.max_payload + 1))
    equal(true, write(p, payload, i % 3 == 0))
    equal(payload, read(c), "frame " .. i)
    equal(i % 3 == 0, c.more)
    equal(false, c:ready())
    equal(false, c:read())
  end
end)


-- I4, at the very moment of publication: a copy of the module whose stores
-- are watched. From then on the consumer polls that word, and the rest of the
-- write leaves it alone: a 1 that is put there stays.
case("the word behind a frame is clear before it is published", function()
  local words, behind, commits, last = nil, nil, 0, 8192 / 4
  local watched = setmetatable({
    kongring_store = function(word, value)
      local at = words and word - words
      if at and at >= 0 and band(value, layout.PAD) == 0 then
        local size = band(value, layout.LENGTH_MASK) + layout.WORD_SIZE
        behind = (at + math.ceil(size / layout.ALIGNMENT) * 2) % last
        equal(0, words[behind], "word behind frame " .. commits)
        commits = commits + 1
        words[behind] = 1
      end
      C.kongring_store(word, value)
    end,
  }, { __index = C })
  package.loaded["kongring.helper"] = { C = watched }
  package.loaded["kongring.ring"] = nil
  local copy = require "kongring.ring"
  package.loaded["kongring.helper"] = helper
  package.loaded["kongring.ring"] = ring

  local plain, c, _, data = new_ring(8192)
  local p = assert(copy.producer(plain.memory, layout.CONTROL_SIZE + 8192))
  words = data
  local noise = ("\255"):rep(p.max_payload)
  for i = 0, 999 do
    for _, n in ipairs { i % 64, p.max_payload - i % 32, i % 8, 1500 } do
      equal(true, p:write(noise, n, false))
      equal(1, words[behind], "word behind a frame of " .. n)
      words[behind] = 0
      equal(n, c:read())
      equal(false, c:ready(), "behind a frame of " .. n)
    end
  end
  equal(4000, commits)
end)


case("nothing outside of the ring is touched", function()
  local size, around = layout.CONTROL_SIZE + 1024, 2048
  local mem = ffi.new("uint8_t[?]", size + 2 * around, 0xa5)
  local start = ffi.cast("uint8_t *", mem) + around
  ffi.fill(start, size)
  ffi.cast("kongring_control *", start).consumed = layout.START
  local p = assert(ring.producer(start, size))
  local c = assert(ring.consumer(start, size))
  for i = 0, 4999 do
    while write(p, pattern(i, i * 7 % (p.max_payload + 1))) do end
    for _ = 0, i % 5 do
      c:read()
    end
  end
  for i = 0, around - 1 do
    equal(0xa5, mem[i], "byte before the ring")
    equal(0xa5, mem[around + size + i], "byte behind the ring")
  end
end)


case("full ring changes nothing", function()
  for _, size in ipairs { 100, 12, 4 } do -- 16 and 8 bytes would fill it, I4
    local p, c = new_ring(1024)
    local n = 0
    while write(p, pattern(n, size)) do
      n = n + 1
    end
    equal(false, write(p, pattern(n, size)))
    assert(n > 6, n)
    for i = 0, n - 1 do
      equal(pattern(i, size), read(c), "frame " .. i)
    end
    equal(false, c:read())
    equal(true, write(p, pattern(n, size)))
    equal(pattern(n, size), read(c))
  end
end)


case("all read means room", function() -- I6
  for first = 0, 1024 / 4 - layout.WORD_SIZE, 4 do
    local p, c = new_ring(1024)
    for i = 0, 39 do
      for _, n in ipairs { first, (first + i * 8) % p.max_payload,
                           p.max_payload } do
        equal(true, write(p, pattern(i, n)), fmt("first %d, frame %d of %d",
                                                 first, i, n))
        equal(n, c:read())
      end
    end
  end
end)


case("too long a frame raises", function()
  local p = new_ring(1024)
  local ok, err = pcall(write, p, ("x"):rep(253))
  equal(false, ok)
  equal("ring: frame of 253 bytes: the limit is 252",
        err:match("ring: frame.*"))
end)


case("sleep handshake", function()
  local p, c = new_ring(1024)
  equal(false, p:claim_wake(), "nobody sleeps")
  equal(true, c:sleep())
  equal(true, p:claim_wake())
  equal(false, p:claim_wake(), "the duty to ring is given once")
  c:awake()

  equal(true, write(p, ""))
  equal(false, c:sleep(), "a frame is there")
  equal(false, p:claim_wake())
end)


case("room handshake", function()
  local p, c = new_ring(1024)
  equal(false, p:wait(100), "there is room")
  equal(false, c:claim_wake())
  while write(p, pattern(0, 100)) do end
  equal(true, p:wait(100))
  while c:ready() do
    assert(c:read())
  end
  equal(true, c:claim_wake())
  equal(false, c:claim_wake(), "the duty to ring is given once")
  equal(true, write(p, pattern(0, 100)))
end)


case("spin sees a frame and gives up", function()
  local p, c = new_ring(1024)
  equal(false, c:spin(0))
  local before = C.kongring_ticks()
  equal(false, c:spin(1e6))
  assert(C.kongring_ticks() - before >= 1e6, "it gave up early")
  assert(write(p, ""))
  equal(true, c:spin(0))
  equal(true, c:spin(1000))
end)


case("sleep gives everything back", function()
  local p, c, control = new_ring(1024)
  assert(write(p, "hello"))
  assert(c:read())
  equal(layout.START, control.consumed, "lazily published")
  equal(true, c:sleep())
  equal(layout.START + 16, control.consumed)
end)


-- what a peer may have written where the next frame starts
do
  local capacity = 1024
  local start = band(layout.START, capacity - 1)
  local to_end = capacity - start
  local committed, pad = layout.COMMITTED, layout.PAD
  for _, tc in ipairs {
    { "not committed", 5 },
    { "flags without commit", layout.MORE },
    { "longer than a quarter", bor(committed, capacity / 4) },
    { "longest length", bor(committed, layout.LENGTH_MASK) },
    { "past the end of the buffer", bor(committed, to_end) },
    { "pad that stops short", bor(committed, pad, to_end - 16) },
    { "pad with nothing behind",
      bor(committed, pad, to_end - layout.WORD_SIZE) },
    { "pad with more",
      bor(committed, pad, layout.MORE, to_end - layout.WORD_SIZE) },
    { "everything set", 0xffffffff },
  } do
    case("lying frames are corrupt/" .. tc[1], function()
      local p, c, _, words = new_ring(capacity)
      words[start / 4] = tobit(tc[2])
      equal(true, c:ready())
      corrupt(c:read())

      words[start / 4] = 0
      equal(true, write(p, "late"))
      equal(true, c:ready(), "a waiter must not sleep on a dead ring")
      equal(true, c:spin(1))
      equal(false, c:sleep())
      corrupt(c:read())
    end)
  end
end


-- each of these breaks one rule only
for _, tc in ipairs {
  { "longer than a quarter", 1024, 0, 253 },
  { "past the end of the buffer", 4096, 4096 - 256, 253 },
  { "pad that stops short", 1024, 1024 - 64, bor(layout.PAD, 64 - 12) },
  { "pad longer than a quarter", 1024, 512, bor(layout.PAD, 512 - 4) },
} do
  case("one lie is enough/" .. tc[1], function()
    local name, capacity, at, word = unpack(tc)
    local p, c, _, words = new_ring(capacity)
    while band(c.pos, capacity - 1) ~= at do
      assert(write(p, ""))
      equal(0, c:read())
    end
    words[0] = bor(layout.COMMITTED, 4) -- what stands behind a pad
    words[at / 4] = bor(layout.COMMITTED, word)
    corrupt(c:read())
    equal(true, c:ready(), name)
  end)
end


case("pad with nothing behind is corrupt", function()
  local _, c, _, words = new_ring(4096)
  words[band(layout.START, 4095) / 4] =
    bor(layout.COMMITTED, layout.PAD, 256 - layout.WORD_SIZE)
  local ok, err = c:read()
  corrupt(ok, err, "no frame behind a pad")
end)


case("pad behind pad is corrupt", function()
  local _, c, _, words = new_ring(1024)
  local start = band(layout.START, 1023)
  local pad = bor(layout.COMMITTED, layout.PAD)
  words[start / 4] = bor(pad, 1024 - start - layout.WORD_SIZE)
  words[0] = bor(pad, 1024 - layout.WORD_SIZE)
  corrupt(c:read())
end)


for _, tc in ipairs {
  { "ahead of the producer", layout.START + 4096 },
  { "behind what it gave back", layout.START - 8 },
  { "half way round", layout.START + 2^31 },
  { "not aligned", layout.START + 4 },
} do
  case("lying consumer is corrupt/" .. tc[1], function()
    local p, _, control = new_ring(1024)
    control.consumed = tobit(tc[2])
    local ok, err
    for _ = 1, 100 do
      ok, err = write(p, pattern(0, 100))
      if not ok then
        break
      end
    end
    corrupt(ok, err)
    equal(false, p:wait(100), "nothing to wait for on a dead ring")
    corrupt(write(p, ""))
  end)
end


-- The path of every frame has to run compiled: nothing in it may be beyond the
-- compiler, and once compiled it allocates nothing.
case("write and read are compiled", function()
  local p, c = new_ring(4096)
  local payload = ffi.new("uint8_t[64]")
  local frames = 0

  local function loop(n)
    for i = 1, n do
      assert(p:write(payload, i % 65, false))
      p:claim_wake()
      if not c:ready() then
        error("no frame")
      end
      frames = frames + (c:read() == i % 65 and 1 or 0)
      c:claim_wake()
      c:spin(1)
      if i % 7 == 0 and c:sleep() then
        c:awake()
      end
    end
  end

  local compiled, aborts = 0, {}
  local function watch(what, _, _, _, code, reason)
    if what == "stop" then
      compiled = compiled + 1
    elseif what == "abort" then
      -- where a recording happened to start decides whether it runs out of
      -- the loop; it is recorded again from a better place
      local why = fmt(vmdef.traceerr[code] or code, reason)
      if not why:find("loop", 1, true) then
        aborts[#aborts + 1] = why
      end
    end
  end
  jit.flush()
  jit.attach(watch, "trace")
  loop(20000)
  jit.attach(watch)

  assert(compiled > 0, "nothing was compiled")
  equal("", table.concat(aborts, " "), "aborted traces")
  collectgarbage()
  collectgarbage("stop")
  local before = collectgarbage("count")
  loop(20000)
  local grown = collectgarbage("count") - before
  collectgarbage("restart")
  -- a trace that is compiled only now takes some KB; 16 bytes a frame, the
  -- least that an allocation takes, would be 312
  assert(grown < 32, grown .. " KB allocated by 20000 frames")
  equal(40000, frames)
end)


cases.finish()
