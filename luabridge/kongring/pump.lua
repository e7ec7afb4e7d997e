--- Carries the frames of a session over its control connection.
--
-- Purpose: where shared memory is refused, a session has rings that nobody else
-- sees, and the pump is the other end of both, in the server's place. One light
-- thread takes frames off the connection into the ring to the worker and hands
-- them out; another one sends what stands in the ring to the server, all that
-- there is at once, and a third attends to events that nobody waits for. The
-- server does the same with rings of its own (server/pump.go).
--
-- Called by: bridge.lua. Phases: timer.
--
-- The connection belongs to the timer that opened it and cannot be handed on:
-- the pump stays for the session's whole life. Its light threads live as long,
-- and use the same buffers again, so that the memory of the timer's request
-- does not grow.
--
-- @module kongring.pump


local ffi = require "ffi"
local layout = require "kongring.layout"
local ring = require "kongring.ring"
local see_off = require "kongring.see_off"
local stream = require "kongring.stream"


local cast = ffi.cast
local copy = ffi.copy
local log = ngx.log
local now = ngx.now
local pcall = pcall
local spawn = ngx.thread.spawn
local kill = ngx.thread.kill
local exiting = ngx.worker.exiting
local WORD_SIZE = layout.WORD_SIZE


-- bytes that are read at once, and that are gathered before they are sent
local CHUNK = 64 * 1024

-- seconds between two looks for slots whose coroutine was killed, and for
-- counters that changed
local SWEEP = 5

-- seconds between two looks whether a session that leaves is still needed
local LOOK = 0.01

-- as good as for ever, in seconds
local FAR = 24 * 3600


local _M = {}


-- takes what comes until the server hangs up
local function receive(session, a)
  local region = a.segment.regions[layout.REGION_TO_WORKER]
  local producer = ring.producer(region.ptr, region.size)
  producer.segment = a.segment -- its memory lives as long as its user
  local socket = a.socket
  local half = WORD_SIZE + producer.max_payload
  producer.stream = ffi.new("uint8_t[?]", 2 * half + CHUNK)
  local data = cast("uint8_t *", producer.stream)
  local from, held = 0, 0 -- the bytes that were not used yet
  while not session.closed do
    local text, err = socket:receiveany(CHUNK)
    if session.closed then
      return
    end
    if text then
      copy(data + from + held, text, #text)
      held = held + #text
      local used
      used, err = stream.split(session, producer, data + from, held)
      if not used then
        session:damage(err)
        return
      end
      from, held = from + used, held - used
      if from >= held then -- the rest has a place at the front
        copy(data, data + from, held)
        from = 0
      end
      session:answer()
    elseif err ~= "timeout" then
      session:close("the plugin server went away (" .. err .. ")")
    end
  end
end


-- sends what stands in the ring to the server until it hangs up
local function send(session, a)
  local region = a.segment.regions[layout.REGION_TO_SERVER]
  local consumer = ring.consumer(region.ptr, region.size)
  consumer.segment = a.segment -- its memory lives as long as its user
  local socket, sema = a.socket, a.bell.sema
  consumer.stream = ffi.new("uint8_t[?]", CHUNK + WORD_SIZE +
                                          consumer.max_payload)
  local data = cast("uint8_t *", consumer.stream)
  while not session.closed do
    local n, err = stream.gather(consumer, data, CHUNK)
    if not n then
      session:damage(err)
    elseif n > 0 then
      if consumer:claim_wake() then
        session:give_room()
      end
      local sent
      sent, err = socket:send(ffi.string(data, n))
      if err == "timeout" then
        session:close("the plugin server reads nothing")
      elseif not sent then
        return -- receive finds the hang-up, behind what came before it
      end
    elseif consumer:sleep() then
      if consumer:claim_wake() then
        session:give_room()
      end
      sema:wait(FAR)
      consumer:awake()
    end
  end
end


-- Tells the server this side's counters, if they changed and there is room.
-- Takes and gives a number that grows with them.
local function tell_counters(session, told)
  local c = session.counters
  local age = c.frames_out + c.frames_in + c.events_done
  if age == told then
    return told
  end
  local size = ffi.sizeof("kongring_worker_counters")
  local message = ffi.new("uint8_t[?]", layout.HEAD_SIZE + size)
  cast("kongring_head *", message).type = layout.TYPE_COUNTERS
  copy(message + layout.HEAD_SIZE, c, size)
  if not session.out:write(message, layout.HEAD_SIZE + size, false) then
    return told
  end
  session:wake_server()
  return age
end


-- what a session is closed with from another request, which cannot touch the
-- connection: the pump's own thread does
local function stop(a)
  a.over:post(1)
end


local function look(self)
  return self:ready()
end


-- runs a part of the pump; its failure ends the session
local function guarded(part, session, a)
  local ok, err = pcall(part, session, a)
  if not ok then
    log(ngx.ERR, "[kongring] pump: ", err)
    session:close("the bridge failed: " .. tostring(err))
  end
end


-- whether nobody will need the session but those who use it now
local function leaves(session)
  return session.replaced or exiting()
end


-- waits until the session is over: has it replaced when the server stops, and
-- ends it when it leaves and nobody needs it
local function watch(bridge, session, over, told)
  local swept, close_idle = now(), see_off.closer(session)
  while not session.closed do
    over:wait(leaves(session) and LOOK or SWEEP)
    if session.dismissed then
      bridge:replace(session)
    end
    if not session.closed and now() - swept >= SWEEP then
      swept = now()
      session:sweep()
      told = not session.closed and tell_counters(session, told)
    end
    if leaves(session) then
      close_idle()
    end
  end
end


--- Carries the frames of a session until it is closed, by whomever, or the
-- server hangs up, which closes it.
-- @phases timer, the one that attached
-- @tparam table bridge the session's
-- @tparam table session over an attachment of `attach_socket`
function _M.run(bridge, session)
  local a = session.attachment
  a.close = stop
  -- nothing comes from a ring while this worker looks into it
  session.inn.spin = look
  a.socket:settimeouts(1000, FAR * 1000, FAR * 1000)
  local told = tell_counters(session, nil)
  local threads = { spawn(guarded, receive, session, a),
                    spawn(guarded, send, session, a),
                    spawn(guarded, session.look_on, session, false) }
  local ok, err = pcall(watch, bridge, session, a.over, told)
  if not ok then
    log(ngx.ERR, "[kongring] pump: ", err)
    session:close("the bridge failed: " .. tostring(err))
  end
  for _, thread in ipairs(threads) do
    kill(thread)
  end
  a.socket:close() -- a killed wait has closed it already
end


return _M
