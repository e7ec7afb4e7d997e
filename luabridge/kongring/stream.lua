--- The frames of a ring as a stream of bytes.
--
-- Purpose: what server/stream.go, which draws a frame, is for Go: takes frames
-- out of a ring into a stream, and a stream apart into a ring.
--
-- Called by: pump.lua. Phases: all; nothing here yields.
--
-- Damage: a stream that no server of this version sends is `nil, err`.
--
-- @module kongring.stream


local bit = require "bit"
local ffi = require "ffi"
local layout = require "kongring.layout"


local band = bit.band
local bnot = bit.bnot
local bor = bit.bor
local tobit = bit.tobit
local tohex = bit.tohex
local cast = ffi.cast
local copy = ffi.copy
local MORE = layout.MORE
local LENGTH_MASK = layout.LENGTH_MASK
local NO_FRAME = bnot(bor(MORE, LENGTH_MASK))
local WORD_SIZE = layout.WORD_SIZE


local word_t = ffi.typeof("uint32_t *")


local _M = {}


-- puts one frame into the ring to the worker; what is wrong, or nil
local function put(session, producer, data, len, more)
  local ok, err = producer:write(data, len, more)
  if ok == false then
    session:answer() -- empties the ring
    if session.closed then
      return nil
    end
    ok, err = producer:write(data, len, more)
  end
  if not ok then
    return err or "no room in an empty ring"
  end
end


--- Puts the whole frames at the start of a stream into the ring to the worker.
-- @phases all
-- @tparam table session whose method `answer` empties the ring
-- @tparam table producer of the ring to the worker
-- @tparam cdata data bytes of the stream, as uint8_t pointer
-- @tparam number len their number
-- @treturn number|nil the bytes that were used; less than a frame is left
-- @treturn string|nil what the server did
function _M.split(session, producer, data, len)
  local limit = producer.max_payload
  local from = 0
  while len - from >= WORD_SIZE do
    local word = tobit(cast(word_t, data + from)[0])
    local size = band(word, LENGTH_MASK)
    if band(word, NO_FRAME) ~= 0 or size > limit then
      return nil, "frame word 0x" .. tohex(word) ..
                  " on the socket: the limit is " .. limit .. " bytes"
    end
    if len - from - WORD_SIZE < size then
      break
    end
    local err = put(session, producer, data + from + WORD_SIZE, size,
                    band(word, MORE) ~= 0)
    if err then
      return nil, err
    end
    if session.closed then
      break
    end
    from = from + WORD_SIZE + size
  end
  return from
end


--- Takes frames out of a ring until it is empty or `most` bytes are there.
-- @phases all
-- @tparam table consumer of the ring
-- @tparam cdata data where the stream goes, as uint8_t pointer: `most` bytes
-- and one more frame have room
-- @tparam number most
-- @treturn number|nil the bytes of the stream
-- @treturn string|nil what the ring's producer did
function _M.gather(consumer, data, most)
  local n = 0
  while n < most do
    local len, err = consumer:read()
    if not len then
      if len == nil then
        return nil, err
      end
      break
    end
    cast(word_t, data + n)[0] = consumer.more and bor(len, MORE) or len
    copy(data + n + WORD_SIZE, consumer.frame, len)
    n = n + WORD_SIZE + len
  end
  return n
end


return _M
