--- MessagePack into a buffer.
--
-- Purpose: the put_ methods of a buffer, each of which writes a value.
--
-- Called by: msgpack.lua. Phases: all; nothing here yields.
--
-- @module kongring.msgpack_writer


local bit = require "bit"
local ffi = require "ffi"
local buffer = require("kongring.msgpack_buffer").methods
local values = require "kongring.msgpack_values"


local type = type
local next = next
local rawget = rawget
local getmetatable = getmetatable
local floor = math.floor
local fmt = string.format
local band = bit.band
local bswap = bit.bswap
local rshift = bit.rshift
local cast = ffi.cast
local copy = ffi.copy
local istype = ffi.istype


local MAX_DEPTH = values.MAX_DEPTH
local MAX_INT = 2^53
local TABLE, COUNT = values.TABLE, values.COUNT
local INDEX, KEY = values.INDEX, values.KEY
local array_mt = values.array_mt
local bin_mt = values.bin_mt
local scratch = values.scratch
local unwind = values.unwind


local void_t = ffi.typeof("void *")
local int64_t = ffi.typeof("int64_t")
local uint64_t = ffi.typeof("uint64_t")


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

  elseif kind == "userdata" and values.empty_array == v then
    self:put_array(0)

  elseif (kind == "userdata" or istype(void_t, v)) and cast(void_t, v) == nil
  then
    self:put_nil()

  else
    return nil, "cannot encode a " .. kind
  end

  return true
end


-- Anything but a table, or a string marked by msgpack.bin.
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


local function begin_table(self, t, depth)
  if depth > MAX_DEPTH then
    return nil, fmt("cannot encode tables nested deeper than %d", MAX_DEPTH)
  end

  local mt = getmetatable(t)
  local n, is_array
  if mt and mt == array_mt then
    n, is_array = #t, true
  else
    n, is_array = measure(t)
    is_array = is_array or n == 0 and mt and mt == values.empty_array_mt
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
