-- One side of TestStreamLuaGo: produce or consume of stream_test.go, by way of
-- P1 and P2.
-- Arguments: produce|consume, seed, number of frames, patience in ms.

local bit = require "bit"
local ffi = require "ffi"
local peer = require "peer"
local ring = require "kongring.ring"


local rshift = bit.rshift
local C = ffi.C


local side = arg[1]
local seed, n, patience = tonumber(arg[2]), tonumber(arg[3]), tonumber(arg[4])
local region = peer.map()[0]
local did = { frames = 0, sleeps = 0, rings = 0 }


local NOISE_SIZE = 65536


-- the sequence of frames: data of each, its length, and more
local function new_frames(max_payload)
  local next, below = peer.random(seed)
  local noise = ffi.new("uint8_t[?]", NOISE_SIZE + max_payload)
  for i = 0, NOISE_SIZE + max_payload - 1 do
    noise[i] = rshift(next(), 24)
  end

  return function()
    local class, limit = below(64), 64
    if class == 0 then
      limit = max_payload
    elseif class < 8 then
      limit = 256
    end
    local len = below(limit + 1)
    return noise + below(NOISE_SIZE), len, next() < 0
  end, noise
end


-- sometimes this side does something else for a while
local function new_mood(own_seed)
  local _, below = peer.random(own_seed)

  local function dawdle()
    if below(256) == 0 then
      local t = 0
      for i = 1, below(10000) do
        t = t + i
      end
      return t
    end
  end

  local function ticks()
    return below(2) == 0 and 0 or below(30000)
  end

  return dawdle, ticks
end


local function ring_if(claimed)
  if claimed then
    did.rings = did.rings + 1
    peer.ring()
  end
end


local function produce()
  local p = assert(ring.producer(region.mem, region.size))
  local frame, noise = new_frames(p.max_payload)
  local dawdle = new_mood(seed + 1)

  for _ = 1, n do
    local data, len, more = frame()
    while true do
      local ok, err = p:write(data, len, more)
      if ok then
        break
      elseif err then
        error(err)
      elseif p:wait(len) then
        did.sleeps = did.sleeps + 1
        peer.wait(patience)
      end
    end
    ring_if(p:claim_wake())
    did.frames = did.frames + 1
    dawdle()
  end
  return noise
end


local function consume()
  local c = assert(ring.consumer(region.mem, region.size))
  local frame, noise = new_frames(c.max_payload)
  local dawdle, ticks = new_mood(seed + 2)

  while did.frames < n do
    local got, err = c:read()
    if err then
      error(err)
    end
    ring_if(c:claim_wake())
    if got then
      local data, len, more = frame()
      if got ~= len or c.more ~= more or C.memcmp(c.frame, data, len) ~= 0 then
        error("frame " .. did.frames .. " differs")
      end
      did.frames = did.frames + 1
      dawdle()

    elseif not c:spin(ticks()) and c:sleep() then
      did.sleeps = did.sleeps + 1
      ring_if(c:claim_wake()) -- sleep gave bytes back
      peer.wait(patience)
      c:awake()
    end
  end
  return noise
end


if side == "produce" then
  produce()
else
  consume()
end
print(('{"Frames": %d, "Sleeps": %d, "Rings": %d}'):format(did.frames,
      did.sleeps, did.rings))
