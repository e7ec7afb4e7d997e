--- Calls a plugin server the way a Kong without the bridge does: MsgPack:1.
--
-- Purpose: the stock way to compare with. For each call a socket comes from
-- the worker's pool, one request is sent, what is there is received until the
-- answer is whole, and the socket goes back: the same socket operations and
-- the same codec as in Kong.
--
-- Messages are MessagePack-RPC: a request `{ 0, id, method, arguments }`, an
-- answer `{ 1, id, error, result }`, a notification `{ 2, label, value }`.
--
-- Called by: stock.instance, stock.event. Phases: those with cosockets.
--
-- @module stock.rpc


local msgpack = require "MessagePack"


local assert = assert
local setmetatable = setmetatable
local connect = ngx.socket.connect
local pack = msgpack.pack
local unpacker = msgpack.unpacker


-- bytes that are received at once, at most
local CHUNK = 4096

local REQUEST, ANSWER, NOTIFICATION = 0, 1, 2


local Rpc = {}
Rpc.__index = Rpc


local _M = {}


--- A client of the server that listens at a path.
-- @phases all
-- @tparam string socket path of the server's Unix socket
-- @tparam function notify called with label and value of each notification
-- @treturn table the client
function _M.new(socket, notify)
  return setmetatable({
    address = "unix:" .. socket,
    notify = notify,
    last_id = 0,
  }, Rpc)
end


-- gives the answer to the request with the id
local function receive(self, sock, id)
  local next_message = unpacker(function()
    return sock:receiveany(CHUNK)
  end)
  while true do
    local found, message = next_message()
    if not found then
      return nil, "no data"
    end
    if message[1] ~= NOTIFICATION then
      assert(message[1] == ANSWER, "not an answer")
      assert(message[2] == id, "the answer to another request")
      return message
    end
    self.notify(message[2], message[3])
  end
end


--- Makes one call.
-- @phases those with cosockets
-- @tparam string method with its namespace, such as "plugin.HandleEvent"
-- @tparam any argument the only one
-- @treturn any|nil the result
-- @treturn string|nil why there is none
function Rpc:call(method, argument)
  local id = self.last_id + 1
  self.last_id = id

  local sock, err = connect(self.address)
  if not sock then
    return nil, "failed to connect: " .. err
  end

  local sent
  sent, err = sock:send(pack({ REQUEST, id, method, { argument } }))
  if not sent then
    sock:setkeepalive()
    return nil, "failed to send: " .. err
  end

  local message
  message, err = receive(self, sock, id)
  sock:setkeepalive()
  if not message then
    return nil, err
  end
  if message[3] ~= nil then
    return nil, message[3]
  end
  return message[4]
end


return _M
