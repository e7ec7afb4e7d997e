--- What each first byte of a MessagePack value says.
--
-- Purpose: the reader's tables.
--
-- Called by: msgpack_reader.lua. Phases: all.
--
-- @module kongring.msgpack_types


-- By type byte: the kind of value, how many bytes of number or length follow,
-- what the type byte itself holds when none do, how many bytes each unit of
-- that length stands for at least, and whether it is an array or map.
local KIND, TAIL, FIX, LEAST, NESTS = {}, {}, {}, {}, {}


local function define(kind, first, last, base, tail)
  for c = first, last do
    KIND[c], TAIL[c], FIX[c] = kind, tail or 0, c - base
    NESTS[c] = kind == "array" or kind == "map"
    LEAST[c] = kind == "map" and 2 or (NESTS[c] or kind == "string") and 1
               or 0
    tail = tail and tail * 2
  end
end


define("integer", 0x00, 0x7f, 0x00)
define("map", 0x80, 0x8f, 0x80)
define("array", 0x90, 0x9f, 0x90)
define("string", 0xa0, 0xbf, 0xa0)
define("nil", 0xc0, 0xc0, 0xc0)
define("unknown", 0xc1, 0xc1, 0xc1)
define("boolean", 0xc2, 0xc3, 0xc2)
define("string", 0xc4, 0xc6, 0, 1) -- bin
define("extension", 0xc7, 0xc9, 0)
define("float", 0xca, 0xcb, 0, 4)
define("integer", 0xcc, 0xcf, 0, 1) -- unsigned
define("integer", 0xd0, 0xd3, 0, 1) -- signed
define("extension", 0xd4, 0xd8, 0)
define("string", 0xd9, 0xdb, 0, 1)
define("array", 0xdc, 0xdd, 0, 2)
define("map", 0xde, 0xdf, 0, 2)
define("integer", 0xe0, 0xff, 0x100)


return { KIND = KIND, TAIL = TAIL, FIX = FIX, LEAST = LEAST, NESTS = NESTS }
