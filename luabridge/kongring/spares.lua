--- Memory of long messages between two uses.
--
-- Purpose: fresh memory of a megabyte costs more than the bytes that are then
-- written to it, since the system hands it out page by page. So a buffer that
-- grew long gives its memory back here, and the next one that grows takes it.
--
-- Called by: msgpack.lua, whose buffers share the spares of a session, and
-- session.lua. Phases: all; nothing here yields.
--
-- @module kongring.spares


local insert = table.insert
local min = math.min
local remove = table.remove
local setmetatable = setmetatable


-- what is kept at most: pieces of memory, and their bytes together
local MOST = 4
local MOST_BYTES = 32 * 1024 * 1024


local Spares = {}
local mt = { __index = Spares }


local _M = {}


--- No spares yet.
-- @phases all
function _M.new()
  return setmetatable({
    list = {}, -- of { mem, cap }, the longest last
    bytes = 0, -- in the list
    least = 0, -- entries that nobody took since the last trim
  }, mt)
end


local function take_at(self, i)
  local entry = remove(self.list, i)
  self.bytes = self.bytes - entry.cap
  self.least = min(self.least, #self.list)
  return entry.mem, entry.cap
end


--- Takes memory of that many bytes or more: the longest, since nobody knows yet
-- how long a message becomes.
-- @phases all
-- @tparam number bytes
-- @treturn cdata|nil the memory, with whatever stands in it; nil when there is
-- none
-- @treturn number|nil its length in bytes
function Spares:take(bytes)
  local list = self.list
  local longest = list[#list]
  if longest and longest.cap >= bytes then
    return take_at(self, #list)
  end
end


--- Keeps memory for the next who needs it; where there is too much, the
-- shortest goes. The caller uses it no more.
-- @phases all
-- @tparam cdata mem
-- @tparam number cap its length in bytes
function Spares:give(mem, cap)
  local list = self.list
  local at = #list
  while at > 0 and list[at].cap > cap do
    at = at - 1
  end
  insert(list, at + 1, { mem = mem, cap = cap })
  self.bytes = self.bytes + cap
  while #list > MOST or self.bytes > MOST_BYTES do
    take_at(self, 1)
  end
end


--- Lets go of what nobody needed since the last call.
-- @phases all
function Spares:trim()
  for _ = 1, self.least do
    take_at(self, 1)
  end
  self.least = #self.list
end


return _M
