--- A handler that speaks to a plugin server as an unmodified Kong does over
-- MsgPack:1: each PDK call of the plugin is an answer to HandleEvent or a step,
-- made by name, and only the first value of what it gives goes back.
--
--     return require("stock_handler").new { socket = "/path", name = "p",
--                                           phases = { "access" } }


local cjson = require "cjson"
local mp = require "MessagePack"


local pack = mp.pack


-- what a plugin server may call that is no function of Kong's PDK
local EXPOSED = {
  ["kong.log.serialize"] = function()
    return cjson.encode(kong.log.serialize())
  end,
  ["kong.ctx.shared.get"] = function(k) return kong.ctx.shared[k] end,
  ["kong.ctx.shared.set"] = function(k, v) kong.ctx.shared[k] = v end,
  ["kong.nginx.get_ctx"] = function(k) return ngx.ctx[k] end,
  ["kong.nginx.set_ctx"] = function(k, v) ngx.ctx[k] = v end,
  ["kong.nginx.get_var"] = function(k) return ngx.var[k] end,
  ["kong.nginx.get_tls1_version_str"] = function()
    return require("ngx.ssl").get_tls1_version_str()
  end,
  ["kong.nginx.req_start_time"] = function() return ngx.req.start_time() end,
}


local STEPS = {
  ["kong.client.get_credential"] = "StepCredential",
  ["kong.client.authenticate"] = "StepCredential",
  ["kong.client.load_consumer"] = "StepConsumer",
  ["kong.client.get_consumer"] = "StepConsumer",
  ["kong.router.get_route"] = "StepRoute",
  ["kong.router.get_service"] = "StepService",
  ["kong.node.get_memory_stats"] = "StepMemoryStats",
  ["kong.request.get_query"] = "StepMultiMap",
  ["kong.request.get_headers"] = "StepMultiMap",
  ["kong.response.get_headers"] = "StepMultiMap",
  ["kong.service.response.get_headers"] = "StepMultiMap",
}


local function find(name)
  local at = _G
  for word in name:gmatch("[^.]+") do
    at = assert(at[word], name)
  end
  return at
end


local function multimap(values)
  local lists = {}
  for name, value in pairs(values) do
    if value == true then
      lists[name] = {}
    elseif type(value) == "string" then
      lists[name] = { value }
    else
      lists[name] = value
    end
  end
  return lists
end


-- a body travels as bin
local function pack_bin(text)
  local n = #text
  return string.char(0xc6, math.floor(n / 2 ^ 24) % 256,
                     math.floor(n / 2 ^ 16) % 256, math.floor(n / 2 ^ 8) % 256,
                     n % 256) .. text
end


-- the result of a PDK call with the step that it is sent by
local function call(name, args)
  local f = EXPOSED[name] or find(name)
  local data = f(unpack(args)) -- and nothing of the second value
  local step = STEPS[name] or "Step"
  if step == "StepMultiMap" then
    data = multimap(data)
  end
  if data == nil then
    return step
  elseif name:find("get_raw_body", 1, true) then
    return step, pack_bin(data)
  end
  return step, pack(data)
end


local last_id = 0


local function rpc(o, method, packed)
  local sock = ngx.socket.tcp()
  assert(sock:connect("unix:" .. o.socket))
  last_id = last_id + 1
  local id = last_id
  assert(sock:send("\x94" .. pack(0) .. pack(id) ..
                   pack("plugin." .. method) .. "\x91" .. packed))
  for _, message in mp.unpacker(function()
    return sock:receiveany(4096)
  end) do
    if message[1] == 1 then
      assert(message[2] == id, "response to another request")
      sock:setkeepalive()
      if message[3] then
        error(message[3], 0)
      end
      return message[4]
    end
  end
  error("closed", 0)
end


local function handle_event(o, conf, phase)
  o.ids[conf] = o.ids[conf] or
                rpc(o, "StartInstance",
                    pack({ Name = o.name, Config = cjson.encode(conf) })).Id
  local step = rpc(o, "HandleEvent",
                   pack({ InstanceId = o.ids[conf], EventName = phase }))
  while step.Data ~= "ret" do
    local method, data = call(step.Data.Method, step.Data.Args)
    local packed = pack("EventId") .. pack(step.EventId)
    packed = data and "\x82" .. packed .. pack("Data") .. data
             or "\x81" .. packed
    step = rpc(o, method, packed)
  end
end


local _M = {}


function _M.new(o)
  o.ids = {}
  local handler = { PRIORITY = 10, VERSION = "0.1" }
  for _, phase in ipairs(o.phases) do
    handler[phase] = function(_, conf)
      return handle_event(o, conf, phase)
    end
  end
  return handler
end


return _M
