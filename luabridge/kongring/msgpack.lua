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


local bit = require "bit"
local ffi = require "ffi"
local new_tab = require "table.new"


local type = type
local next = next
local rawget = rawget
local getmetatable = getmetatable
local setmetatable = setmetatable
local floor = math.floor
local max = math.max
local min = math.min
local fmt = string.format
local arshift = bit.arshift
local band = bit.band
local bor = bit.bor
local bswap = bit.bswap
local lshift = bit.lshift
local rshift = bit.rshift
local tobit = bit.tobit
local cast = ffi.cast
local copy = ffi.copy
local istype = ffi.istype
local to_string = ffi.string


local MAX_DEPTH = 32
local MAX_INT = 2^53
local NAN = 0/0
-- slots allocated on the word of a header alone, the rest as elements arrive
local MAX_PREALLOC = 1024


local bytes_t = ffi.typeof("uint8_t[?]")
local ptr_t = ffi.typeof("uint8_t *")
local void_t = ffi.typeof("void *")
local int64_t = ffi.typeof("int64_t")
local uint64_t = ffi.typeof("uint64_t")


-- Values of 4 and 8 bytes pass through here by ffi.copy, which takes any
-- alignment. i32[0] is the low half of the 64-bit members.
assert(ffi.abi("le"), "kongring.msgpack needs a little-endian machine")
local scratch = ffi.new([[union {
  int32_t i32[2]; uint32_t u32; int64_t i64; uint64_t u64; float f32;
  double f64;
}]])


local has_cjson, cjson = pcall(require, "cjson.safe")
if not has_cjson then
  cjson = {}
end


local null = cjson.null or ngx and ngx.null or cast(void_t, 0)
local bin_mt = {}


local _M = {
  MAX_DEPTH = MAX_DEPTH,
  null = null,
  array_mt = cjson.array_mt or {},
}


--- Marks a string to be written as bin by put_value.
function _M.bin(s)
  local marked = setmetatable({ s }, bin_mt)
  return marked
end


local buffer = {}
local buffer_mt = { __index = buffer }


-- a buffer longer than this takes its memory from the spares
local LONG = 64 * 1024


-- puts the buffer into other memory
local function move(self, mem, cap)
  copy(mem, self.data, self.len)
  -- data does not keep the memory it points to alive, mem does
  self.mem, self.data, self.cap = mem, cast(ptr_t, mem), cap
end


--- An empty buffer.
-- @tparam number initial_bytes
-- @tparam table|nil spares where memory of long messages comes from and goes to
function _M.new_buffer(initial_bytes, spares)
  local self = setmetatable({
    data = cast(ptr_t, 0), len = 0, spares = spares,
  }, buffer_mt)
  local cap = initial_bytes > 0 and initial_bytes or 1
  move(self, ffi.new(bytes_t, cap), cap)
  return self
end


--- Gives the memory of a long buffer to the spares. What is in it is gone.
-- @tparam number cap bytes that the buffer has room for afterwards
function buffer:shed(cap)
  if self.cap > LONG then
    self.spares:give(self.mem, self.cap)
    self.len = 0
    move(self, ffi.new(bytes_t, cap), cap)
  end
end


-- makes room for `need` bytes in all
local function grow(self, need)
  local mem, cap
  if self.spares and need > LONG then
    mem, cap = self.spares:take(need)
  end
  if not mem then
    -- a little more than is needed: the next message is as long, or nearly
    cap = max(2 * self.cap, need + arshift(need, 3))
    mem = ffi.new(bytes_t, cap)
  end
  move(self, mem, cap)
end


function buffer:reset()
  self.len = 0
end


function buffer:tostring()
  local s = to_string(self.data, self.len)
  return s
end


--- Makes room for n more bytes.
function buffer:reserve(n)
  local need = self.len + n
  if need > self.cap then
    grow(self, need)
  end
end


function buffer:put_u8(v)
  self:reserve(1)
  self.data[self.len] = band(v, 0xff)
  self.len = self.len + 1
end


--- Raw little-endian, as are put_u32 and set_u32.
function buffer:put_u16(v)
  self:reserve(2)
  local data, len = self.data, self.len
  data[len] = band(v, 0xff)
  data[len + 1] = band(rshift(v, 8), 0xff)
  self.len = len + 2
end


function buffer:put_u32(v)
  self:reserve(4)
  scratch.i32[0] = tobit(v)
  copy(self.data + self.len, scratch, 4)
  self.len = self.len + 4
end


--- Overwrites four of the bytes written, such as a length known only later.
function buffer:set_u32(offset, v)
  assert(offset >= 0 and offset + 4 <= self.len, "no such bytes written")
  scratch.i32[0] = tobit(v)
  copy(self.data + offset, scratch, 4)
end


-- A type byte and eight bytes; the caller has reserved 9.
local function put_wide(self, c, hi, lo)
  local data, len = self.data, self.len
  data[len] = c
  scratch.i32[0] = bswap(hi)
  scratch.i32[1] = bswap(lo)
  copy(data + (len + 1), scratch, 8)
  self.len = len + 9
end


-- v in the least of 1, 2, 4 or 8 bytes that hold `span`, after the type byte
-- of that width; c is the type byte of one byte. The caller has reserved 9.
local function put_sized(self, c, span, v)
  local data, len = self.data, self.len

  if span <= 0xff then
    data[len] = c
    data[len + 1] = band(v, 0xff)
    self.len = len + 2

  elseif span <= 0xffff then
    data[len] = c + 1
    data[len + 1] = band(rshift(v, 8), 0xff)
    data[len + 2] = band(v, 0xff)
    self.len = len + 3

  elseif span <= 0xffffffff then
    data[len] = c + 2
    scratch.i32[0] = bswap(v)
    copy(data + (len + 1), scratch, 4)
    self.len = len + 5

  else
    local hi = floor(v / 0x100000000)
    put_wide(self, c + 3, hi, v - hi * 0x100000000)
  end
end


function buffer:put_nil()
  self:put_u8(0xc0)
end


function buffer:put_bool(v)
  self:put_u8(v and 0xc3 or 0xc2)
end


function buffer:put_number(v)
  self:reserve(9)

  if floor(v) ~= v or v > MAX_INT or v < -MAX_INT
     or (v == 0 and 1 / v < 0) then
    scratch.f64 = v
    put_wide(self, 0xcb, scratch.i32[1], scratch.i32[0])

  elseif v >= -32 and v <= 0x7f then
    self:put_u8(v)

  elseif v > 0 then
    put_sized(self, 0xcc, v, v)

  else
    -- two's complement: -2^7 takes the 8 bits that 2^8 - 1 does
    put_sized(self, 0xd0, -2 * v - 1, v)
  end
end


function buffer:put_str(s)
  local n = #s
  self:reserve(n + 9)

  if n <= 31 then
    self:put_u8(0xa0 + n)
  else
    put_sized(self, 0xd9, n, n)
  end

  copy(self.data + self.len, s, n)
  self.len = self.len + n
end


function buffer:put_bin(s)
  local n = #s
  self:reserve(n + 9)
  put_sized(self, 0xc4, n, n)
  copy(self.data + self.len, s, n)
  self.len = self.len + n
end


-- Array and map counts have no form of one byte: `before` is the type byte
-- that comes before that of two.
local function put_count(self, n, fix, before)
  self:reserve(9)

  if n <= 15 then
    self:put_u8(fix + n)
  else
    put_sized(self, before, n > 0xff and n or 0x100, n)
  end
end


function buffer:put_array(n)
  put_count(self, n, 0x90, 0xdb)
end


function buffer:put_map(n)
  put_count(self, n, 0x80, 0xdd)
end


-- The number of keys of t, and whether they are exactly 1..n, which the
-- length operator cannot tell: it stops at any border.
local function measure(t)
  local n, top = 0, 0

  for k in next, t do
    n = n + 1
    if type(k) ~= "number" or k < 1 or floor(k) ~= k then
      top = 1 / 0
    elseif k > top then
      top = k
    end
  end

  return n, n > 0 and top == n
end


-- The few cdata and userdata that stand for a value.
local function put_foreign(self, v, kind)
  if kind == "cdata" and (istype(int64_t, v) or istype(uint64_t, v)) then
    self:reserve(9)
    scratch.i64 = v
    put_wide(self, istype(int64_t, v) and 0xd3 or 0xcf, scratch.i32[1],
             scratch.i32[0])

  elseif kind == "userdata" and cjson.empty_array == v then
    self:put_array(0)

  elseif (kind == "userdata" or istype(void_t, v)) and cast(void_t, v) == nil
  then
    self:put_nil()

  else
    return nil, "cannot encode a " .. kind
  end

  return true
end


-- Anything but a table, or a string marked by _M.bin.
local function put_scalar(self, v)
  local kind = type(v)

  if kind == "string" then
    self:put_str(v)
  elseif kind == "number" then
    self:put_number(v)
  elseif kind == "boolean" then
    self:put_u8(v and 0xc3 or 0xc2)
  elseif kind == "nil" then
    self:put_u8(0xc0)
  elseif kind == "userdata" or kind == "cdata" then
    return put_foreign(self, v, kind)
  elseif kind == "table" then
    local s = v[1]
    if type(s) ~= "string" then
      return nil, "cannot encode a " .. type(s) .. " as bin"
    end
    self:put_bin(s)
  else
    return nil, "cannot encode a " .. kind
  end

  return true
end


-- The tables being written or read, outermost first, by depth: the table, its
-- number of elements (still to come, when reading), the index reached in an
-- array or false for a map, the key reached in a map.
--
-- This takes the place of recursion, which LuaJIT 2.1-20230119 compiles wrongly
-- where it meets a loop: elements were read that were not there. Nothing in
-- between yields or runs a metamethod, so all share one stack.
local TABLE, COUNT, INDEX, KEY = {}, {}, {}, {}


-- Lets go of the tables after a failure; without one, each goes as it ends.
local function unwind(depth)
  for i = 1, min(depth, MAX_DEPTH) do
    TABLE[i], KEY[i] = nil, nil
  end
end


local function begin_table(self, t, depth)
  if depth > MAX_DEPTH then
    return nil, fmt("cannot encode tables nested deeper than %d", MAX_DEPTH)
  end

  local mt = getmetatable(t)
  local n, is_array
  if mt and mt == _M.array_mt then
    n, is_array = #t, true
  else
    n, is_array = measure(t)
    is_array = is_array or n == 0 and mt and mt == cjson.empty_array_mt
  end

  TABLE[depth], COUNT[depth], INDEX[depth] = t, n, is_array and 0 or false
  if is_array then
    self:put_array(n)
  else
    self:put_map(n)
  end

  return true
end


local function put_table(self, root)
  local depth = 1
  local ok, err = begin_table(self, root, 1)

  while ok and depth > 0 do
    local t, index = TABLE[depth], INDEX[depth]
    local more, v

    if index then
      index = index + 1
      INDEX[depth] = index
      more = index <= COUNT[depth]
      v = rawget(t, index)

    else
      local k
      k, v = next(t, KEY[depth])
      KEY[depth] = k
      local kind = type(k)
      more = kind ~= "nil"
      if kind == "table" or kind == "userdata" or istype(void_t, k) then
        ok, err = nil, "cannot encode a " .. kind .. " as a map key"
      elseif more then
        ok, err = put_scalar(self, k)
      end
    end

    if not more then
      TABLE[depth] = nil
      depth = depth - 1
    elseif ok and type(v) == "table" and getmetatable(v) ~= bin_mt then
      depth = depth + 1
      ok, err = begin_table(self, v, depth)
    elseif ok then
      ok, err = put_scalar(self, v)
    end
  end

  if not ok then
    unwind(depth)
  end

  return ok, err
end


--- Writes any Lua value.
-- @return true, or nil and why the value cannot be written
function buffer:put_value(v)
  local len = self.len
  local ok, err
  if type(v) == "table" and getmetatable(v) ~= bin_mt then
    ok, err = put_table(self, v)
  else
    ok, err = put_scalar(self, v)
  end

  if not ok then
    self.len = len
    return nil, err
  end

  return true
end


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


local reader = {}
local reader_mt = { __index = reader }


function _M.new_reader()
  return setmetatable({ ptr = cast(ptr_t, 0), len = 0, pos = 0 }, reader_mt)
end


--- Takes len bytes at ptr (a uint8_t *), which the caller keeps alive.
function reader:set(ptr, len)
  self.ptr, self.len, self.pos = ptr, len, 0
end


local function truncated(what, pos)
  return nil, fmt("truncated %s at byte %d", what, pos)
end


-- Little-endian, of 1, 2 or 4 bytes.
local function read_raw(self, width, what)
  local ptr, pos = self.ptr, self.pos
  if width > self.len - pos then
    return truncated(what, pos)
  end

  self.pos = pos + width
  if width == 1 then
    return ptr[pos]
  elseif width == 2 then
    local n = bor(ptr[pos], lshift(ptr[pos + 1], 8))
    return n
  end

  copy(scratch, ptr + pos, 4)
  return scratch.u32
end


function reader:read_u8()
  return read_raw(self, 1, "u8")
end


function reader:read_u16()
  return read_raw(self, 2, "u16")
end


function reader:read_u32()
  return read_raw(self, 4, "u32")
end


-- Reads a type byte and the number or length behind it, and finds the body it
-- announces to be there, or for arrays and maps to be possible. Returns the
-- number, unsigned, and the type byte. After a tail of 4 or 8 bytes it is in
-- scratch, too; of 8 bytes, the signed high half alone is returned.
local function read_head(self, want)
  local ptr, pos, len = self.ptr, self.pos, self.len
  if pos >= len then
    return truncated(want or "value", pos)
  end

  local c = ptr[pos]
  local kind, tail = KIND[c], TAIL[c]
  if want and kind ~= want or kind == "unknown" or kind == "extension" then
    return nil, fmt("expected %s at byte %d, got %s (0x%02x)",
                    want or "value", pos, kind, c)
  end

  local n = FIX[c]
  local stop = pos + 1 + tail
  if stop > len then
    return truncated(kind, pos)
  end

  if tail == 1 then
    n = ptr[pos + 1]

  elseif tail == 2 then
    n = bor(lshift(ptr[pos + 1], 8), ptr[pos + 2])

  elseif tail == 4 then
    copy(scratch, ptr + (pos + 1), 4)
    scratch.i32[0] = bswap(scratch.i32[0])
    n = scratch.u32

  elseif tail == 8 then
    copy(scratch, ptr + (pos + 1), 8)
    n = bswap(scratch.i32[0])
    scratch.i32[0], scratch.i32[1] = bswap(scratch.i32[1]), n
  end

  if n * LEAST[c] > len - stop then
    return truncated(kind, pos)
  end

  self.pos = stop
  return n, c
end


-- What read_head found to be an integer, as a number or, beyond 2^53, cdata.
local function to_integer(n, c)
  local tail = TAIL[c]
  if tail == 0 then
    return n
  end

  local signed = c >= 0xd0
  if tail < 8 then
    local unused = 32 - 8 * tail
    return signed and arshift(lshift(n, unused), unused) or n
  end

  if n < 0x200000 and n >= (signed and -0x200000 or 0)
     or n == 0x200000 and scratch.u32 == 0 then
    return n * 0x100000000 + scratch.u32
  end

  return signed and scratch.i64 or scratch.u64
end


-- LuaJIT keeps the type of a value in the payload of a NaN, and loads a
-- double as it finds it. A NaN from outside could thus pass for a pointer, so
-- its bits are looked at while they are integers.
local function to_float(n, c)
  local exp = band(n, 0x7fffffff)
  if c == 0xca then
    return exp > 0x7f800000 and NAN or scratch.f32
  end

  return (exp > 0x7ff00000 or exp == 0x7ff00000 and scratch.u32 ~= 0) and NAN
         or scratch.f64
end


local function to_str(self, n)
  local pos = self.pos
  self.pos = pos + n
  -- as a tail call, it would keep LuaJIT from compiling this function
  local s = to_string(self.ptr + pos, n)
  return s
end


function reader:read_array()
  local n, err = read_head(self, "array")
  if n then
    return n
  end

  return nil, err
end


function reader:read_map()
  local n, err = read_head(self, "map")
  if n then
    return n
  end

  return nil, err
end


--- Reads a str or bin.
function reader:read_str()
  local n, err = read_head(self, "string")
  if n then
    return to_str(self, n)
  end

  return nil, err
end


--- Reads an integer of at most 2^53 either way.
function reader:read_int()
  local pos = self.pos
  local n, c = read_head(self, "integer")
  if not n then
    return nil, c
  end

  n = to_integer(n, c)
  if type(n) == "cdata" then
    self.pos = pos
    return nil, fmt("integer beyond 2^53 at byte %d", pos)
  end

  return n
end


-- The value behind a head that is no array's or map's; `none` for nil.
local function read_scalar(self, n, c, none)
  local kind = KIND[c]

  if kind == "string" then
    return to_str(self, n)
  elseif kind == "integer" then
    return to_integer(n, c)
  elseif kind == "boolean" then
    return n == 1
  elseif kind == "float" then
    return to_float(n, c)
  end

  return none
end


-- The empty table for the array or map whose head was read last.
local function open_table(self, n, c, depth)
  if depth > MAX_DEPTH then
    return nil, fmt("%s nested deeper than %d at byte %d", KIND[c], MAX_DEPTH,
                    self.pos - 1 - TAIL[c])
  end

  local is_map, size = KIND[c] == "map", min(n, MAX_PREALLOC)
  local t = new_tab(is_map and 0 or size, is_map and size or 0)
  if n == 0 and not is_map then
    setmetatable(t, _M.array_mt)
  end

  TABLE[depth], COUNT[depth], INDEX[depth] = t, n, not is_map and 0
  return t
end


-- Reads what belongs in the tables on the stack, from depth 1 on, where nil is
-- read as `none`. Returns true, or nil and an error.
local function fill(self, none)
  local depth, err = 1, nil

  while depth > 0 and not err do
    local t, left, k = TABLE[depth], COUNT[depth], INDEX[depth]
    COUNT[depth] = left - 1

    if left == 0 then
      TABLE[depth] = nil
      depth = depth - 1

    else
      local pos = self.pos
      local n, c = read_head(self)
      if k then
        k = k + 1
        INDEX[depth] = k

      elseif n then
        k = nil
        if not NESTS[c] then
          k = read_scalar(self, n, c, nil)
        end
        if k == nil or k ~= k then
          n, c = nil, fmt("unusable map key at byte %d", pos)
        else
          n, c = read_head(self)
        end
      end

      if not n then
        err = c
      elseif NESTS[c] then
        depth = depth + 1
        local inner
        inner, err = open_table(self, n, c, depth)
        if inner then
          t[k] = inner
        end
      elseif depth == 1 then
        t[k] = read_scalar(self, n, c, none)
      else
        t[k] = read_scalar(self, n, c, null)
      end
    end
  end

  if err then
    unwind(depth)
    return nil, err
  end

  return true
end


--- Reads one value of any kind.
-- @return true and the value, or false and what is wrong with the bytes
function reader:read_value()
  local pos = self.pos
  local n, c = read_head(self)
  if not n then
    return false, c
  end

  if not NESTS[c] then
    return true, read_scalar(self, n, c, nil)
  end

  local t = open_table(self, n, c, 1)
  local ok, err = fill(self, null)
  if not ok then
    self.pos = pos
    return false, err
  end

  return true, t
end


--- Reads an array into t[1..n], with nil for nil, and clears what an earlier
-- read_args left behind it, of which t.n has the count.
-- @return n, for unpack(t, 1, n), or nil and an error, with t in any state
function reader:read_args(t)
  local pos = self.pos
  local n, err = self:read_array()
  if not n then
    return nil, err
  end

  local before = t.n or #t
  t.n = n > before and n or before
  TABLE[1], COUNT[1], INDEX[1] = t, n, 0

  local ok
  ok, err = fill(self, nil)
  if not ok then
    self.pos = pos
    return nil, err
  end

  for i = n + 1, before do
    t[i] = nil
  end

  t.n = n
  return n
end


return _M
