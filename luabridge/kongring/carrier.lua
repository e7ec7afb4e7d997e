--- Chooses what carries the frames: rings in shared memory, or the socket.
--
-- Purpose: attaches a bridge by the carrier that its operator wants. With
-- "auto" that is the rings, each time anew, and the socket where this or the
-- other side has no shared memory; the log says why, again only for another
-- reason.
--
-- Called by: bridge.lua. Phases: timer.
--
-- @module kongring.carrier


local attach = require "kongring.attach"


local log = ngx.log
local WARN = ngx.WARN
local exiting = ngx.worker.exiting


local _M = {}


local WANTED = { auto = true, ring = true, socket = true }


--- Tells whether an operator may want a carrier of that name.
-- @phases all
function _M.known(name)
  return WANTED[name] ~= nil
end


local function report(b, reason)
  if reason ~= b.refused then
    log(WARN, "[kongring] ", b.path, ": no shared memory, the messages go ",
        "over the socket: ", reason)
    b.refused = reason
  end
end


--- Attaches a bridge.
-- @phases timer
-- @tparam table b the bridge: `path` of the socket, the carrier that is
-- `wanted`, whether its last session was `pumped`
-- @treturn table|nil the attachment, as `kongring.attach` gives it
-- @treturn string|nil why there is none
-- @treturn boolean|nil nobody listens there
function _M.attach(b)
  -- a worker that shuts down goes on as it was
  if b.wanted == "socket" or (b.pumped and exiting()) then
    return attach.attach_socket(b.path)
  end
  local attachment, err, absent, no_memory = attach.attach(b.path)
  if attachment then
    b.refused = nil
    return attachment
  end
  if not no_memory or b.wanted == "ring" then
    return nil, err, absent
  end
  local reason = err
  attachment, err = attach.attach_socket(b.path)
  if not attachment then
    return nil, reason .. "; by the socket: " .. err
  end
  report(b, reason)
  return attachment
end


return _M
