--- Values that go to the server along with an event.
--
-- Purpose: keeps the profiles that the server sends, lists of getters that the
-- handler of a phase is known to ask for, and evaluates them at the start of an
-- event, so that the handler need not ask.
--
-- Called by: session_receive.lua (profiles), event.lua and posted.lua (values).
-- Phases: `read` all, `put` what the getters allow.
--
-- @module kongring.prefetch


local layout = require "kongring.layout"


local concat = table.concat
local cut = require("kongring.trace").cut
local loadstring = loadstring
local NO_VALUE = layout.NO_VALUE


-- failures of a getter after which a profile does without it
local PATIENCE = 3


local _M = {}


-- events that go without a value after one in which it alone was too long: to
-- make it and to copy it is most of what it costs
local PAUSE = 32


-- what becomes of a value that has no place
local function drop(getter, b, start, limit, most)
  if b.len > limit and b.len - start > most then
    getter.paused = PAUSE
  end
  b.len = start + 4
end


-- what a getter gives
local function ask(getter, saved)
  if saved then
    return getter.call(saved, getter.first, getter.second)
  end
  return getter.call(getter.first, getter.second)
end


-- puts one value, its length first
local function put_one(profile, i, b, limit, saved)
  local getter, start = profile[i], b.len
  profile.at = i
  b:put_u32(NO_VALUE)
  if getter.paused > 0 then
    getter.paused = getter.paused - 1
  elseif getter.failures < PATIENCE and start < limit then
    if getter.put(b, ask(getter, saved)) and b.len <= limit then
      b:set_u32(start, b.len - start - 4)
    else
      drop(getter, b, start, limit, profile.bytes)
    end
  end
end


-- Makes the function that puts all values of a profile with n getters: one
-- after the other without a loop, in traces of its own (see trace.lua).
local function compile(n)
  local text = { "local put, cut = ...",
                 "return function(profile, b, limit, saved)" }
  for i = 1, n do
    text[#text + 1] = "put(profile, " .. i .. ", b, limit, saved)"
    if i < n then
      text[#text + 1] = "cut()"
    end
  end
  text[#text + 1] = "end"
  return loadstring(concat(text, "\n"), "=profile")(put_one, cut)
end


--- Reads a profile.
-- @phases all
-- @tparam table reader at the body of the message
-- @tparam function find gives the method of a number
-- @treturn table|nil the profile
-- @treturn string|nil what is wrong with it
function _M.read(reader, find)
  local version = reader:read_u32()
  local bytes = version and reader:read_u32()
  local n = bytes and reader:read_u16()
  if not n or n > layout.MAX_PREFETCH or bytes > layout.MAX_PREFETCH_BYTES then
    return nil, "profile of " .. tostring(n) .. " getters with " ..
                tostring(bytes) .. " bytes"
  end
  local profile = {
    version = version, bytes = bytes, n = n, put_all = compile(n),
    at = 0, -- the getter that is being called, 0 when none is
  }
  for i = 1, n do
    local number = reader:read_u16()
    local args = {}
    local count, err = reader:read_args(args)
    if not count then
      return nil, "profile entry " .. i .. ": " .. err
    end
    -- one that this Kong has not, or with more arguments than any getter,
    -- never has a value
    local row = count <= 2 and find(number)
    profile[i] = {
      call = row and row.call,
      put = row and row.put,
      first = args[1],
      second = args[2],
      failures = row and 0 or PATIENCE,
      paused = 0, -- events that go without it
    }
  end
  return profile
end


--- Puts the values of a profile behind the head of an EVENT. Raises what a
-- getter raises; then `failed` tells.
-- @phases what the getters allow; none of them yields
-- @tparam table profile
-- @tparam table b the buffer
-- @tparam table|nil saved what the request that ends now leaves behind, the
-- getters' first argument then
function _M.put(profile, b, saved)
  b:put_u32(profile.version)
  b:put_u16(profile.n)
  cut()
  profile.put_all(profile, b, b.len + profile.bytes, saved)
  cut()
  profile.at = 0
end


--- Tells whether it was a getter of the profile that raised, which is not tried
-- for ever.
-- @phases all
-- @tparam table profile
-- @treturn boolean
function _M.failed(profile)
  local getter = profile[profile.at]
  profile.at = 0
  if getter then
    getter.failures = getter.failures + 1
  end
  return getter ~= nil
end


return _M
