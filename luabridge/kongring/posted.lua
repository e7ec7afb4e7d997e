--- The events of the log phase, as they are posted.
--
-- Purpose: begins an event without a wait, with the values that its handler is
-- known to ask for, and answers what comes back from what the request left
-- behind.
--
-- Called by: log_phase.lua; by session_posted.lua as the owner of the events.
-- Phases: `begin` log, the rest timer; nothing here yields.
--
-- @module kongring.posted


local calls = require "kongring.call"
local helper = require "kongring.helper"
local layout = require "kongring.layout"
local prefetch = require "kongring.prefetch"


local C = helper.C
local cut = require("kongring.trace").cut
local band = bit.band
local pcall = pcall
local ARG_METHOD = layout.ARG_METHOD
local PHASE_LOG = layout.PHASE.log
local STATUS_OK = layout.STATUS_OK
local TYPE_CALL = layout.TYPE_CALL
local TYPE_DONE = layout.TYPE_DONE
local TYPE_EVENT = layout.TYPE_EVENT


local _M = {}


-- whether the method that a CALL names gives what it has at once; one that does
-- not exist does
local function at_once(slot)
  local number = band(slot.arg, ARG_METHOD)
  local row = number ~= 0 and slot.find(number)
  return not row or not row.waits
end


--- Deals with the message in the slot, see session_posted.lua. What is not of
-- every day is given away: an end with a failure, and what the log phase
-- forbids.
function _M.serve(session, slot, generation)
  local kind = slot.type
  if kind == TYPE_CALL and at_once(slot) then
    slot.type = false
    if not calls.run(session, slot, generation) then
      return nil
    end
    local sent = session:send_now(slot)
    cut()
    if sent == false then
      return false, true
    end
    return sent
  elseif kind == TYPE_DONE and slot.code == STATUS_OK then
    slot.type = false
    calls.apply(session, slot, generation)
    session:release(slot, generation)
    return nil
  end
  return false
end


--- Begins an event of the request that ends now, without a wait.
-- @phases log
-- @tparam table session whose `can_post` is true
-- @tparam number id of the instance
-- @tparam number deadline as `ngx.now` counts
-- @tparam table saved what `kongring.saved` captured
-- @tparam table owner of the event, see session_posted.lua
-- @treturn boolean false when all slots are taken
function _M.begin(session, id, deadline, saved, owner)
  local slot = session:acquire(TYPE_EVENT, deadline)
  if not slot then
    return false
  end
  slot.find, slot.saved, slot.doing = saved.find, saved, nil
  slot.instance = id
  slot.started = C.kongring_ticks()
  local c = session.counters
  c.events = c.events + 1

  local b = session:begin(slot, TYPE_EVENT, PHASE_LOG, id)
  local profile = session:profile(id, PHASE_LOG)
  if profile and not pcall(prefetch.put, profile, b, saved) then
    prefetch.failed(profile)
    session:begin(slot, TYPE_EVENT, PHASE_LOG, id) -- without them
  end
  session:post(slot, owner)
  return true
end


return _M
