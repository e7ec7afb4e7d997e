--- Builds the global `kong` that plugins use.
--
-- Two of its fields depend on the request: `kong.log` is the logger of the
-- plugin that runs, `kong.ctx` holds the request's tables.


local cidr = require "kong_host.cidr"
local client = require "kong_host.pdk.client"
local service = require "kong_host.pdk.service.init"
local uuid = require "kong_host.uuid"
local get_request = require("resty.core.base").get_request
local log = require "kong_host.pdk.log"


local ngx = ngx
local setmetatable = setmetatable


-- As keys in ngx.ctx these cannot collide with a plugin's.
local SHARED_KEY = {}
local CLUSTER_ID = uuid.derive("cluster", "default")
local core_log = log.new()


-- Two plugins with one handler cannot exist, so the handler is the key of
-- its plugin's table.
local function ctx_key(ctx, name)
  if name == "shared" then
    return SHARED_KEY
  elseif name == "plugin" then
    return ctx.KONG_HANDLER
  end
end


local request_tables = setmetatable({}, {
  __index = function(_, name)
    if not get_request() then
      return nil
    end

    local ctx = ngx.ctx
    local key = ctx_key(ctx, name)
    if key == nil then
      return nil
    end

    local values = ctx[key]
    if not values then
      values = {}
      ctx[key] = values
    end
    return values
  end,
})


local kong_mt = {
  __index = function(_, name)
    if name == "log" then
      return get_request() and ngx.ctx.KONG_LOG or core_log
    end
  end,
}


local _M = {}


--- @tparam table config from `kong_host.config`
-- @tparam table configuration what plugins see as `kong.configuration`
-- @treturn table `kong`
function _M.new(config, configuration)
  client._set_consumers(config.consumers_by_id, config.consumers_by_username)
  service._set_upstreams(config.upstreams_by_name)

  return setmetatable({
    version = "host",
    configuration = configuration,
    client = client,
    cluster = {
      --- @function kong.cluster.get_id
      -- @treturn string the same on all nodes: there is one
      get_id = function() return CLUSTER_ID end,
    },
    ctx = request_tables,
    ip = {
      --- @function kong.ip.is_trusted
      -- @tparam string address
      -- @treturn boolean whether it is one of `trusted_ips`
      is_trusted = cidr.matcher(config.trusted_ips),
    },
    nginx = {
      --- @function kong.nginx.get_subsystem
      -- @treturn string "http"
      get_subsystem = function() return ngx.config.subsystem end,
    },
    node = require "kong_host.pdk.node",
    plugin = {
      --- @function kong.plugin.get_id
      -- @treturn string|nil id of the plugin entity that runs
      get_id = function() return ngx.ctx.plugin_id end,
    },
    request = require "kong_host.pdk.request",
    response = require "kong_host.pdk.response",
    router = require "kong_host.pdk.router",
    service = service,
    vault = require "kong_host.pdk.vault",
  }, kong_mt)
end


return _M
