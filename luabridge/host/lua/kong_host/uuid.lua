--- UUIDs: derived from names, random, and their syntax.


local fmt = string.format
local find = string.find
local gsub = string.gsub
local io = io
local md5 = ngx.md5
local rep = string.rep
local sub = string.sub
local type = type


local SYNTAX do
  local hex = "%x"
  local four = rep(hex, 4)
  SYNTAX = "^" .. four .. four .. rep("%-" .. four, 4) .. four .. four .. "$"
end


local function from_hex(hex, version)
  return fmt("%s-%s-%s%s-a%s-%s", sub(hex, 1, 8), sub(hex, 9, 12), version,
             sub(hex, 14, 16), sub(hex, 18, 20), sub(hex, 21, 32))
end


local _M = {}


--- The same kind and name give the same UUID, in every process and run.
-- @tparam string kind what is named, e.g. "route"
-- @tparam string name
-- @treturn string
function _M.derive(kind, name)
  return from_hex(md5("kong_host\0" .. kind .. "\0" .. name), "3")
end


--- A random UUID. Blocks for a file read, so for start-up only.
-- @treturn string
function _M.random()
  local file, err = io.open("/dev/urandom", "rb")
  if not file then
    return nil, "failed to open random source: " .. err
  end

  local bytes = file:read(16)
  file:close()
  local hex = gsub(bytes, ".", function(c) return fmt("%02x", c:byte()) end)
  return from_hex(hex, "4")
end


--- @treturn boolean whether the value is a string with the syntax of a UUID
function _M.is_valid(value)
  return type(value) == "string" and find(value, SYNTAX) ~= nil
end


return _M
