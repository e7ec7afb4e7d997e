--- What happens before the first request: init_by_lua, init_worker_by_lua.


local config = require "kong_host.config"
local handlers = require "kong_host.handlers"
local json = require "kong_host.json"
local node = require "kong_host.pdk.node"
local pdk = require "kong_host.pdk.init"
local phase_check = require "kong_host.phase_check"
local plugins = require "kong_host.plugins"
local router = require "kong_host.router"
local runloop = require "kong_host.runloop"


local error = error
local gsub = string.gsub
local ipairs = ipairs
local ngx = ngx
local pcall = pcall


local INIT_WORKER = phase_check.PHASES.init_worker


-- Set by init, then constant.
local loaded   -- enabled plugins, in the order in which they run
local entities -- all plugin entities


local function build(file)
  local by_name
  loaded, by_name = handlers.load(file.enabled_plugins)
  if not loaded then
    return nil, by_name
  end

  return plugins.build(file, by_name)
end


-- Kong logs errors of these phases and goes on.
local function run(ctx, plugin, phase, argument)
  local handler = plugin.handler
  if not handler[phase] then
    return
  end

  ctx.KONG_LOG = plugin.log
  local ok, err = pcall(handler[phase], handler, argument)
  if not ok then
    plugin.log.err("failed to run ", phase, " handler: ", err)
  end
  ctx.KONG_LOG = nil
end


local _M = {}


--- init_by_lua: loads configuration and plugins. Raises what is wrong, and
-- then nginx does not start.
-- @tparam table options `config`, the path of the declarative file, and
-- `log_level`
function _M.init(options)
  json.install()

  local file, err = config.load(options.config)
  if not file then
    error("failed to load configuration: " .. err, 0)
  end

  -- Handlers may use it as soon as they are loaded.
  kong = pdk.new(file, {
    prefix = (gsub(ngx.config.prefix(), "(.)/$", "%1")),
    log_level = options.log_level,
  })

  local built
  built, err = build(file)
  if not built then
    error("failed to load configuration: " ..
          config.error_text(options.config, err), 0)
  end

  entities = built.entities
  runloop.start(router.new(file.routes), built.globals, loaded)
end


--- init_worker_by_lua: each handler's `init_worker()`, then, since Kong 3.4,
-- each handler's `configure(confs)` with all configurations of the plugin.
function _M.init_worker()
  local ctx = ngx.ctx
  ctx.KONG_PHASE = INIT_WORKER

  plugins.number(entities)
  node._note_memory()

  for _, plugin in ipairs(loaded) do
    run(ctx, plugin, "init_worker")
  end

  for _, plugin in ipairs(loaded) do
    run(ctx, plugin, "configure", plugins.configs_of(entities, plugin.name))
  end
end


--- exit_worker_by_lua.
function _M.exit_worker()
  node._forget_memory()
end


return _M
