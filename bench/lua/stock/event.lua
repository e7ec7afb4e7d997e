--- One event of a plugin in a plugin server, the stock way.
--
-- Purpose: HandleEvent begins it; then the server names a PDK function, this
-- side calls it, and a Step takes the result there and brings the next one,
-- until the server says "ret".
--
-- Called by: the plugin calls-stock. Phases: those with cosockets.
--
-- @module stock.event


local msgpack = require "MessagePack"


local error = error
local find = string.find
local gmatch = ngx.re.gmatch
local kong = kong
local lower = string.lower
local next = next
local pairs = pairs
local type = type
local unpack = unpack
local packers = msgpack.packers


-- Functions that Kong offers besides those of kong.*, or instead of them.
local OFFERED = {
  kong = kong,

  ["kong.nginx.get_var"] = function(name)
    return ngx.var[name]
  end,

  ["kong.nginx.get_ctx"] = function(key)
    return ngx.ctx[key]
  end,

  ["kong.nginx.set_ctx"] = function(key, value)
    ngx.ctx[key] = value
  end,

  ["kong.ctx.shared.get"] = function(key)
    return kong.ctx.shared[key]
  end,

  ["kong.ctx.shared.set"] = function(key, value)
    kong.ctx.shared[key] = value
  end,

  ["kong.request.get_headers"] = function(max)
    return kong.request.get_headers(max)
  end,

  ["kong.request.get_header"] = function(name)
    return kong.request.get_header(name)
  end,

  ["kong.response.get_status"] = function()
    return kong.response.get_status()
  end,

  ["kong.response.get_headers"] = function(max)
    return kong.response.get_headers(max)
  end,

  ["kong.response.get_header"] = function(name)
    return kong.response.get_header(name)
  end,
}


-- Steps for results that have a type of their own.
local STEPS = {
  ["kong.client.get_credential"] = "plugin.StepCredential",
  ["kong.client.authenticate"] = "plugin.StepCredential",
  ["kong.client.load_consumer"] = "plugin.StepConsumer",
  ["kong.client.get_consumer"] = "plugin.StepConsumer",
  ["kong.router.get_route"] = "plugin.StepRoute",
  ["kong.router.get_service"] = "plugin.StepService",
  ["kong.node.get_memory_stats"] = "plugin.StepMemoryStats",
  ["kong.request.get_query"] = "plugin.StepMultiMap",
  ["kong.request.get_headers"] = "plugin.StepMultiMap",
  ["kong.response.get_headers"] = "plugin.StepMultiMap",
  ["kong.service.response.get_headers"] = "plugin.StepMultiMap",
}


-- A value that Lua cannot tell apart packs itself.
packers["function"] = function(buffer, put)
  put(buffer)
end


local function empty_map(buffer)
  packers["map"](buffer, {}, 0)
end


local function multi_map(result)
  if next(result) == nil then
    return empty_map
  end
  for name, value in pairs(result) do
    if value == true then
      result[name] = {}
    elseif type(value) == "string" then
      result[name] = { value }
    end
  end
  return result
end


local function body(result)
  return function(buffer)
    packers["binary"](buffer, result)
  end
end


-- What results need before they are packed.
local FIXES = {
  ["kong.request.get_query"] = multi_map,
  ["kong.request.get_headers"] = multi_map,
  ["kong.response.get_headers"] = multi_map,
  ["kong.service.response.get_headers"] = multi_map,
  ["kong.request.get_raw_body"] = body,
  ["kong.response.get_raw_body"] = body,
  ["kong.service.response.get_raw_body"] = body,
}


-- the function that a name such as kong.request.get_header stands for
local function lookup(name)
  local found = OFFERED[name]
  if found then
    return found
  end
  found = OFFERED
  for word in gmatch(name, [[\w+]], "jo") do
    found = found[word[0]]
    if found == nil then
      return nil
    end
  end
  return found
end


local function call_pdk(name, args)
  local method = lookup(name)
  if not method then
    error("no such method: " .. name)
  end
  local result = method(unpack(args))
  local fix = FIXES[name]
  if fix then
    result = fix(result)
  end
  return result
end


local function handle(rpc, instances, conf, phase)
  local id, err = instances:id(conf)
  if not id then
    error(err)
  end

  local step
  step, err = rpc:call("plugin.HandleEvent", {
    InstanceId = id,
    EventName = phase,
  })
  while step and step.Data ~= "ret" do
    local call = step.Data
    local name = call.Method
    local result = call_pdk(name, call.Args)
    step, err = rpc:call(STEPS[name] or "plugin.Step", {
      EventId = step.EventId,
      Data = result,
    })
  end
  return step ~= nil, err
end


local _M = {}


--- Runs an event to its end.
-- An error is logged and the request goes on, except that an instance which
-- the server does not know is started again.
-- @phases those with cosockets
-- @tparam table rpc from stock.rpc
-- @tparam table instances from stock.instance
-- @tparam table conf of the entity whose handler runs
-- @tparam string phase
-- @treturn boolean whether it ended well
function _M.run(rpc, instances, conf, phase)
  local ok, err
  for _ = 1, 2 do
    ok, err = handle(rpc, instances, conf, phase)
    if ok then
      return true
    end
    if not find(lower(err), "no plugin instance", 1, true) then
      break
    end
    kong.log.warn(err)
    instances:forget()
  end
  kong.log.err("event failed: ", err)
  return false
end


return _M
