--- What a message of the plugin server asks for: writes, and a call.
--
-- Purpose: finds the methods that a message in a slot names, runs them with the
-- arguments that it brought, and puts the result of a call into the slot's
-- buffer.
--
-- The slot of an event holds, besides its messages, `find`, which gives the
-- method of a number; for a request that is over, what it `saved`; the name of
-- the method that is `doing` something now; the generation that `began`, since
-- its EVENT was sent; and when it `started` by the helper's clock.
--
-- What an ordinary event runs through follows the rules in trace.lua. What goes
-- wrong with what the server sent, or in a method, is raised.
--
-- Called by: event.lua, posted.lua. Phases: what the methods allow.
--
-- @module kongring.call


local layout = require "kongring.layout"
local pdk = require "kongring.pdk"


local cut = require("kongring.trace").cut
local band = bit.band
local rshift = bit.rshift
local error = error
local tostring = tostring
local TYPE_RETURN = layout.TYPE_RETURN
local STATUS_LUA_ERROR = layout.STATUS_LUA_ERROR
local STATUS_OK = layout.STATUS_OK
local STATUS_UNENCODABLE = layout.STATUS_UNENCODABLE
local ARG_METHOD = layout.ARG_METHOD
local ARG_WRITES = layout.ARG_WRITES


-- what the session says of a slot that has another owner meanwhile
local GONE = "gone"


local _M = { GONE = GONE }


-- the row of a method
local function method(slot, number)
  slot.doing = nil
  local row, err = slot.find(number)
  if not row then
    error(err, 0)
  end
  slot.doing = row.name
  return row
end


-- reads one write and applies it; false when that took longer than the event
-- had
local function apply_one(session, slot, generation)
  local number, err = slot.reader:read_u16()
  if not number then
    error(err, 0)
  end
  local row = method(slot, number)
  cut()
  pdk.call(row, slot.reader, slot.saved)
  cut()
  if session:owns(slot, generation) then
    slot.doing = nil
    return true
  end
  return false
end


-- Applies the writes that a message brought, and leaves the reader behind them.
-- False when that took longer than the event had.
local function apply(session, slot, generation)
  local n = rshift(slot.arg, ARG_WRITES)
  if n >= 1 and not apply_one(session, slot, generation) or
     n >= 2 and not apply_one(session, slot, generation) or
     n >= 3 and not apply_one(session, slot, generation) then
    return false
  end
  if n >= 4 then
    for _ = 4, n do
      if not apply_one(session, slot, generation) then
        return false
      end
    end
  end
  return true
end


-- puts what a method gave behind the head of a RETURN; what has no place there
-- becomes an error for the plugin
local function put_result(session, slot, row, v, err, more)
  local b = session:begin(slot, TYPE_RETURN, STATUS_OK, 0)
  local ok, wrong = row.put(b, v, err, more)
  if ok and b.len > session.max_message then
    ok, wrong = false, "result of " .. b.len .. " bytes, the limit is " ..
                       session.max_message
  end
  if not ok then
    b = session:begin(slot, TYPE_RETURN, STATUS_UNENCODABLE, 0)
    b:put_str(wrong)
  end
end


--- The method of a number.
-- @phases all
-- @tparam table slot of an event
-- @tparam number number
-- @treturn table the row; raises when there is none
_M.method = method


--- Applies the writes that a message brought, and leaves the slot's reader
-- behind them. Raises what a method raises.
-- @phases what the methods allow
-- @treturn boolean false when that took longer than the event had
_M.apply = apply


--- Runs the CALL in the slot, writes first, and puts its RETURN into the slot's
-- buffer. Raises what a method raises.
-- @phases what the method allows
-- @treturn boolean|nil true
-- @treturn string|nil why there is nobody left to answer: `GONE` when it took
-- longer than the event had, or why the session closed
function _M.run(session, slot, generation)
  local c = session.counters
  c.calls = c.calls + 1
  if not apply(session, slot, generation) then
    return nil, GONE
  end
  local number = band(slot.arg, ARG_METHOD)
  local row, v, err, more = pdk.NOTHING, nil, nil, nil
  if number ~= 0 then
    row = method(slot, number)
    cut()
    v, err, more = pdk.call(row, slot.reader, slot.saved)
    cut()
    if session.closed then
      return nil, session.closed
    elseif not session:owns(slot, generation) then
      return nil, GONE -- it took longer than the event had
    end
  end
  put_result(session, slot, row, v, err, more)
  slot.doing = nil
  return true
end


--- Ends an event in which a method raised, on both sides. The server is told
-- what it was.
-- @phases all
-- @tparam string text what was raised
-- @treturn string the text, with the method's name
function _M.failed(session, slot, generation, text)
  if session:owns(slot, generation) then -- else it was given up meanwhile
    if slot.doing then
      text = slot.doing .. ": " .. tostring(text)
    end
    session:cancel(slot, generation, STATUS_LUA_ERROR, tostring(text))
  end
  return tostring(text)
end


return _M
