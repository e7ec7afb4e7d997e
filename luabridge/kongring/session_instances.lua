--- The instances that a session has open in the plugin server.
--
-- Purpose: an instance stays open as long as this worker can still run an event
-- on it, which is as long as its config table is there: Kong makes a new one
-- when the entity changes, and requests that began before go on with theirs. An
-- instance whose table was collected is closed.
--
-- Called by: instance.lua, session_receive.lua and session.lua, as methods of
-- the session. Phases: all; nothing here yields.
--
-- @module kongring.session_instances


local layout = require "kongring.layout"


local collectgarbage = collectgarbage
local next = next
local pairs = pairs
local setmetatable = setmetatable


-- What one look makes the collector do while a config has a newer one, in its
-- own units of about 2 KiB each: one or two milliseconds. A worker with traffic
-- collects by itself; an idle one would keep the old instance.
local STEP = 1024


local WEAK = { __mode = "v" }


local _M = {}


--- Remembers an instance that the server has started.
-- @phases all
-- @tparam number id of the instance
-- @tparam table|nil conf its config; nil when nobody waits for it any more
-- @tparam string|nil key of plugin and entity
function _M:hold(id, conf, key)
  self.held[id] = setmetatable({ conf }, WEAK)
  if key then
    local older = self.newest[key]
    if older and self.held[older] then
      self.replaced_ids[older] = true
    end
    self.newest[key] = id
  end
end


--- Forgets an instance that the server does not know.
-- @phases all
function _M:let_go(id)
  self.held[id], self.replaced_ids[id] = nil, nil
  self.profiles[id] = nil
end


-- tells the server; false when there is no room for it now
local function close(self, id)
  local b = self:begin(self.closer, layout.TYPE_CLOSE, 0, id)
  if not self.out:write(b.data, b.len, false) then
    return false
  end
  self.counters.frames_out = self.counters.frames_out + 1
  self.counters.bytes_out = self.counters.bytes_out + b.len
  return true
end


--- Closes the instances that no event can come for.
-- @phases all
function _M:close_unused()
  if self.closed then
    return
  end
  if next(self.replaced_ids) then
    collectgarbage("step", STEP)
  end
  local any = false
  for id, holder in pairs(self.held) do
    if not holder[1] then
      if not close(self, id) then
        break
      end
      self:let_go(id)
      any = true
    end
  end
  if any then
    self:wake_server()
    for key, id in pairs(self.newest) do
      if not self.held[id] then
        self.newest[key] = nil
      end
    end
  end
end


return _M
