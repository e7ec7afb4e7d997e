--- Matching of IP addresses against addresses and CIDR blocks.


local ffi = require "ffi"
local bit = require "bit"


local band = bit.band
local find = string.find
local floor = math.floor
local lshift = bit.lshift
local match = string.match
local tonumber = tonumber
local type = type


local C = ffi.C


ffi.cdef [[
int kong_host_inet_pton(int af, const char *src, void *dst)
  __asm__("inet_pton");
]]


-- Linux
local AF_INET = 2
local AF_INET6 = 10


local scratch = ffi.new("uint8_t[16]")


-- Returns the address length in bytes; the address itself is in scratch.
local function parse(address)
  if find(address, ":", 1, true) then
    return C.kong_host_inet_pton(AF_INET6, address, scratch) == 1 and 16 or nil
  end

  return C.kong_host_inet_pton(AF_INET, address, scratch) == 1 and 4 or nil
end


local function parse_block(text)
  local address, bits = match(text, "^([^/]+)/(%d+)$")
  local size = parse(address or text)
  if not size then
    return nil
  end

  bits = bits and tonumber(bits) or size * 8
  if bits > size * 8 then
    return nil
  end

  local bytes = ffi.new("uint8_t[16]")
  ffi.copy(bytes, scratch, 16)
  return { size = size, bits = bits, bytes = bytes }
end


local function contains(block, size)
  if block.size ~= size then
    return false
  end

  local whole = floor(block.bits / 8)
  for i = 0, whole - 1 do
    if block.bytes[i] ~= scratch[i] then
      return false
    end
  end

  local rest = block.bits % 8
  if rest == 0 then
    return true
  end

  local mask = band(lshift(0xff, 8 - rest), 0xff)
  return band(block.bytes[whole], mask) == band(scratch[whole], mask)
end


local _M = {}


--- @treturn boolean whether the text is an address or a CIDR block
function _M.is_valid(text)
  return parse_block(text) ~= nil
end


--- @tparam table blocks array of valid addresses and CIDR blocks
-- @treturn function of an address, true if any block contains it. What is
-- not an address is in no block.
function _M.matcher(blocks)
  local parsed = {}
  for i = 1, #blocks do
    parsed[i] = parse_block(blocks[i])
  end

  return function(address)
    local size = type(address) == "string" and parse(address)
    if not size then
      return false
    end

    for i = 1, #parsed do
      if contains(parsed[i], size) then
        return true
      end
    end

    return false
  end
end


return _M
