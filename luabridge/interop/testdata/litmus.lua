-- LuaJIT's side of the litmus tests: see litmus_test.go, whose names this uses.
-- Arguments: P3|P4, consumer|producer, mutant (true|false), rounds, patience
-- in ms. A mutant leaves the full fence of its side out.

local bit = require "bit"
local ffi = require "ffi"
local layout = require "kongring.layout"
local helper = require "kongring.helper"
local peer = require "peer"
local ring = require "kongring.ring"


local tobit = bit.tobit
local C = helper.C


local pair, side, mutant = arg[1], arg[2], arg[3] == "true"
local rounds, patience = tonumber(arg[4]), tonumber(arg[5])
local regions = peer.map()
local mem, size = regions[0].mem, regions[0].size
local words = ffi.cast("uint32_t *", regions[1].mem)
local theirs, mine, concluded = words, words + 32, words + 64


local meetings = 0
local function meet()
  meetings = tobit(meetings + 1)
  C.kongring_store(mine, meetings)
  local looks, deadline = 0, nil
  while tobit(C.kongring_load(theirs) - meetings) < 0 do
    looks = looks + 1
    if looks > 1000 then
      ffi.C.sched_yield()
      if looks % 100000 == 0 then
        deadline = deadline or os.time() + patience / 1000
        if os.time() > deadline then
          error("nobody comes to meeting " .. meetings)
        end
      end
    end
  end
end


local function check(ok, err)
  if not ok then
    error(err or "the ring is not as the round before left it")
  end
end


-- the methods of kongring.ring as they would be without the fence
local without = {}


function without.claim_wake(word)
  return C.kongring_load(word) == 1 and C.kongring_exchange(word, 0) == 1
end


function without.sleep(c)
  C.kongring_store(c.sleeping_word, 1)
  if c:ready() then
    c:awake()
    return false
  end
  return true
end


function without.wait(p)
  C.kongring_store(p.starved_word, 1)
  local consumed = tobit(C.kongring_load(p.consumed_word))
  local in_use = tobit(p.pos - consumed)
  local frame = p.max_payload + layout.WORD_SIZE
  if p.capacity - in_use >= frame + layout.ALIGNMENT then
    p.consumed = consumed
    C.kongring_store(p.starved_word, 0)
    return false
  end
  return true
end


-- each gives the two functions of a handshake
local sides = {}


sides["P3 consumer"] = function()
  local c = assert(ring.consumer(mem, size))
  return function()
    if mutant then
      return without.sleep(c)
    end
    return c:sleep()
  end, function(slept)
    if slept then
      c:awake()
    end
    check(c:read())
  end
end


sides["P3 producer"] = function()
  local p = assert(ring.producer(mem, size))
  return function()
    check(p:write("", 0, false))
    if mutant then
      return without.claim_wake(p.sleeping_word)
    end
    return p:claim_wake()
  end, function() end
end


sides["P4 consumer"] = function()
  local c = assert(ring.consumer(mem, size))
  return function()
    check(c:read())
    if mutant then
      return without.claim_wake(c.starved_word)
    end
    return c:claim_wake()
  end, function() end
end


sides["P4 producer"] = function()
  local p = assert(ring.producer(mem, size))
  local payload = ffi.new("uint8_t[?]", p.max_payload)
  while p:write(payload, p.max_payload, false) do end
  return function()
    if mutant then
      return without.wait(p)
    end
    return p:wait(p.max_payload)
  end, function()
    C.kongring_store(p.starved_word, 0) -- where Go missed it
    check(p:write(payload, p.max_payload, false))
  end
end


local act, settle = sides[pair .. " " .. side]()
local next, below = peer.random(99)
local count = 0
meet()
for _ = 1, rounds do
  meet()
  for _ = 1, 300 + below(64) do -- Go finds out how long it has to dawdle
    next()
  end
  local yes = act()
  C.kongring_store(concluded, yes and 1 or 0)
  meet()
  settle(yes)
  count = count + (yes and 1 or 0)
end
print(count)
