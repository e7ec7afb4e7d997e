--- The instances that this worker has started in the plugin server.
--
-- Purpose: each configuration of a plugin is one instance, which the first
-- request that needs it starts, while others wait for it in steps of 0.1 s. An
-- instance goes stale with the sequence number of its configuration.
--
-- Called by: stock.event. Phases: those with cosockets.
--
-- @module stock.instance


local cjson = require "cjson.safe"


local encode = cjson.encode
local kong = kong
local setmetatable = setmetatable
local sleep = ngx.sleep


-- waiting for somebody else to start one: seconds of a step, and how many
local STEP, STEPS = 0.1, 100


local Instances = {}
Instances.__index = Instances


local _M = {}


--- The instances of a plugin in one server.
-- @phases all
-- @tparam table rpc from stock.rpc
-- @tparam string plugin its name there
-- @treturn table the instances
function _M.new(rpc, plugin)
  return setmetatable({ rpc = rpc, plugin = plugin, running = {} }, Instances)
end


--- Forgets all: the server does not have them any more.
-- @phases all
function Instances:forget()
  self.running = {}
end


-- starts one and closes the one that it replaces
local function start(self, key, conf)
  local running = self.running
  local old = running[key]
  local claim = { conf = conf, seq = conf.__seq__ }
  running[key] = claim

  local status, err = self.rpc:call("plugin.StartInstance", {
    Name = self.plugin,
    Config = encode(conf),
  })
  if not status then
    kong.log.err("failed to start an instance: ", err)
    running[key] = nil
    return nil, err
  end

  claim.id = status.Id
  if old then
    self.rpc:call("plugin.CloseInstance", old.id)
  end
  return claim.id
end


--- The number of the instance for the entity whose handler runs.
-- @phases those with cosockets
-- @tparam table conf of the entity
-- @treturn number|nil
-- @treturn string|nil why it does not start
function Instances:id(conf)
  local key = kong.plugin.get_id()
  local instance = self.running[key]

  local steps = 0
  while instance and not instance.id do
    steps = steps + 1
    if steps > STEPS then
      self.running[key] = nil
      return nil, "nobody started the instance"
    end
    sleep(STEP)
    instance = self.running[key]
  end

  if instance and instance.seq == conf.__seq__ and
     instance.conf.__plugin_id == key then
    return instance.id
  end
  return start(self, key, conf)
end


return _M
