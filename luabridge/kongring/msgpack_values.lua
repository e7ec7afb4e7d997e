--- What MessagePack's writer and reader agree on.
--
-- Purpose: the values that Lua has no word for, the limit of nesting, and the
-- two pieces of memory that both use: a few bytes for numbers, and the stack of
-- open tables.
--
-- Called by: the other parts of the codec. Phases: all.
--
-- @module kongring.msgpack_values


local ffi = require "ffi"


local min = math.min


local has_cjson, cjson = pcall(require, "cjson.safe")
if not has_cjson then
  cjson = {}
end


local MAX_DEPTH = 32


assert(ffi.abi("le"), "kongring.msgpack needs a little-endian machine")


-- The tables being written or read, outermost first, by depth: the table, its
-- number of elements (still to come, when reading), the index reached in an
-- array or false for a map, the key reached in a map.
--
-- This takes the place of recursion, which LuaJIT 2.1-20230119 compiles wrongly
-- where it meets a loop: elements were read that were not there. Nothing in
-- between yields or runs a metamethod, so all share one stack.
local TABLE, COUNT, INDEX, KEY = {}, {}, {}, {}


local _M = {
  MAX_DEPTH = MAX_DEPTH,
  TABLE = TABLE, COUNT = COUNT, INDEX = INDEX, KEY = KEY,

  --- nil within an array or map.
  null = cjson.null or ngx and ngx.null or ffi.cast("void *", 0),

  --- The metatable of a table that is an array even when it is empty.
  array_mt = cjson.array_mt or {},

  -- cjson's own words for an empty array, nil without cjson
  empty_array = cjson.empty_array,
  empty_array_mt = cjson.empty_array_mt,

  --- The metatable of a string that is to be written as bin.
  bin_mt = {},

  --- Values of 4 and 8 bytes pass through here by ffi.copy, which takes any
  -- alignment. i32[0] is the low half of the 64-bit members.
  scratch = ffi.new([[union {
    int32_t i32[2]; uint32_t u32; int64_t i64; uint64_t u64; float f32;
    double f64;
  }]]),
}


--- Lets go of the tables after a failure; without one, each goes as it ends.
-- @phases all
-- @tparam number depth how many are open
function _M.unwind(depth)
  for i = 1, min(depth, MAX_DEPTH) do
    TABLE[i], KEY[i] = nil, nil
  end
end


return _M
