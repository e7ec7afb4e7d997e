--- MessagePack over reused FFI buffers.
--
-- Purpose: turns the arguments and results of PDK calls into MessagePack and
-- back on the path of every call, without garbage beyond the values asked
-- for: buffers and readers are made once and used again.
--
-- Called by: the bridge's frame and call code. Phases: all; nothing here
-- yields, does I/O or touches ngx.ctx.
--
-- Memory: buffers and readers work on memory private to the worker, which
-- nobody else writes meanwhile, so plain loads and stores are right (LuaJIT
-- ignores `volatile`). Bytes in shared memory are copied out before a reader
-- gets them. What they hold is still the word of another process: no length
-- in them is believed before it is compared with the number of bytes left.
--
-- Values: nil within an array or map is read as `null` (cjson.null, else
-- ngx.null, else a NULL pointer), as no table can hold it; at the top level
-- and in read_args it is a real nil. Integers beyond 2^53 are read as int64_t
-- or uint64_t cdata. An empty table is written as a map unless its metatable
-- is `array_mt` or cjson's empty_array_mt; an empty array is read as a table
-- with `array_mt`, every other table is plain.
--
-- A failed write leaves the buffer's len, and a failed read the reader's pos,
-- where it was.
--
-- @module kongring.msgpack


local buffer = require "kongring.msgpack_buffer"
local reader = require "kongring.msgpack_reader"
local values = require "kongring.msgpack_values"
require "kongring.msgpack_writer" -- adds its methods to the buffer


local setmetatable = setmetatable
local bin_mt = values.bin_mt


local _M = {
  MAX_DEPTH = values.MAX_DEPTH,
  null = values.null,
  array_mt = values.array_mt,
  new_buffer = buffer.new,
  new_reader = reader.new,
}


--- Marks a string to be written as bin by put_value.
-- @phases all
function _M.bin(s)
  local marked = setmetatable({ s }, bin_mt)
  return marked
end


return _M
