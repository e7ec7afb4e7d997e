--- MessagePack out of bytes.
--
-- Purpose: a reader over bytes that its user keeps alive.
--
-- Called by: msgpack.lua. Phases: all; nothing here yields.
--
-- Memory: what the bytes hold is the word of another process: no length in them
-- is believed before it is compared with the number of bytes left.
--
-- @module kongring.msgpack_reader


local bit = require "bit"
local ffi = require "ffi"
local new_tab = require "table.new"
local types = require "kongring.msgpack_types"
local values = require "kongring.msgpack_values"


local setmetatable = setmetatable
local min = math.min
local fmt = string.format
local arshift = bit.arshift
local band = bit.band
local bor = bit.bor
local bswap = bit.bswap
local lshift = bit.lshift
local cast = ffi.cast
local copy = ffi.copy
local to_string = ffi.string


local MAX_DEPTH = values.MAX_DEPTH
local NAN = 0/0
-- slots allocated on the word of a header alone, the rest as elements arrive
local MAX_PREALLOC = 1024
local TABLE, COUNT, INDEX = values.TABLE, values.COUNT, values.INDEX
local KIND, TAIL, FIX = types.KIND, types.TAIL, types.FIX
local LEAST, NESTS = types.LEAST, types.NESTS
local array_mt = values.array_mt
local null = values.null
local scratch = values.scratch
local unwind = values.unwind


local ptr_t = ffi.typeof("uint8_t *")


local reader = {}
local reader_mt = { __index = reader }


local function new()
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
    setmetatable(t, array_mt)
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


return { new = new }
