--- Values that go to the server along with an event.
--
-- Purpose: keeps the profiles that the server sends, lists of getters that the
-- handler of a phase is known to ask for, and evaluates them at the start of an
-- event, so that the handler need not ask.
--
-- Called by: session_receive.lua (profiles) and event.lua (values). Phases:
-- `read` all, `put` what the getters allow; a getter that raises is left out.
--
-- @module kongring.prefetch


local layout = require "kongring.layout"
local pdk = require "kongring.pdk"


local pcall = pcall
local NO_VALUE = layout.NO_VALUE
local MAX_BYTES = layout.MAX_PREFETCH_BYTES


-- failures of a getter after which a profile does without it
local PATIENCE = 3


local _M = {}


--- Reads a profile.
-- @phases all
-- @tparam table reader at the body of the message
-- @treturn table|nil the profile
-- @treturn string|nil what is wrong with it
function _M.read(reader)
  local version = reader:read_u32()
  local n = version and reader:read_u16()
  if not n or n > layout.MAX_PREFETCH then
    return nil, "profile of " .. tostring(n) .. " getters"
  end
  local profile = { version = version, n = 0 }
  for i = 1, n do
    local number = reader:read_u16()
    local args = {}
    local count, err = reader:read_args(args)
    if not count then
      return nil, "profile entry " .. i .. ": " .. err
    end
    -- one that this Kong has not, or with more arguments than any getter,
    -- never has a value
    local row = count <= 2 and pdk.method(number)
    profile[i] = {
      call = row and row.call,
      put = row and row.put,
      first = args[1],
      second = args[2],
      failures = row and 0 or PATIENCE,
    }
  end
  profile.n = n
  return profile
end


-- evaluates the getters from number `from` on; what raises leaves `at` there
local function evaluate(profile, b, from, limit)
  for i = from, profile.n do
    local getter = profile[i]
    local start = b.len
    profile.at = i
    profile.start = start
    b:put_u32(NO_VALUE)
    if getter.failures < PATIENCE and start < limit then
      if getter.put(b, getter.call(getter.first, getter.second)) and
         b.len <= limit then
        b:set_u32(start, b.len - start - 4)
      else
        b.len = start + 4
      end
    end
  end
end


--- Puts the values of a profile behind the head of an EVENT.
-- @phases what the getters allow
-- @tparam table profile
-- @tparam table b the buffer
function _M.put(profile, b)
  b:put_u32(profile.version)
  b:put_u16(profile.n)
  local limit = b.len + MAX_BYTES
  local from = 1
  repeat
    local ok = pcall(evaluate, profile, b, from, limit)
    if not ok then
      local getter = profile[profile.at]
      getter.failures = getter.failures + 1
      b.len = profile.start
      b:put_u32(NO_VALUE)
      from = profile.at + 1
    end
  until ok
end


return _M
