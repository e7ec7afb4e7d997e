--- Plugin entities: which plugin runs with which configuration for a route.
--
-- A scope is a route, a service or everything (global). Of the entities of
-- one plugin, a request gets the one with the narrowest scope. Kong knows
-- consumers as scope too; this host does not.


local handlers = require "kong_host.handlers"
local plugin_config = require "kong_host.plugin_config"
local uuid = require "kong_host.uuid"


local fmt = string.format
local ipairs = ipairs
local pairs = pairs
local shared = ngx.shared
local sort = table.sort


-- Phases whose plugins depend on the route, and certificate and rewrite, which
-- only global entities see.
local PHASES = {
  "certificate", "rewrite", "access", "response", "header_filter",
  "body_filter", "log",
}


local SEQ_KEY = "plugins_iterator:__seq__" -- Kong 3.6+: in the dict `kong`


-- @treturn table|nil the entity
-- @treturn nil|string what is wrong with its config
local function build_entity(item, plugin, scope, workspace_id)
  local route_id = scope.route and scope.route.id
  local service_id = scope.service and scope.service.id
  local key = fmt("plugins:%s:%s:%s:::%s", plugin.name, route_id or "",
                  service_id or "", workspace_id)

  local conf, err = plugin_config.complete(plugin.name, item.config)
  if err then
    return nil, err
  end
  conf.route_id = route_id
  conf.service_id = service_id
  conf.plugin_instance_name = item.instance_name
  conf.__plugin_id = item.id or uuid.derive("plugin", key)
  conf.__ws_id = workspace_id
  conf.__key__ = key

  return {
    id = conf.__plugin_id,
    name = plugin.name,
    handler = plugin.handler,
    conf = conf,
    log = plugin.log,
  }
end


-- @treturn table|nil the entities of one scope, by plugin name
local function build_scope(items, path, scope, loaded, workspace_id)
  local entities = {}

  for i, item in ipairs(items) do
    local plugin = loaded[item.name]
    if not plugin then
      return nil, fmt("%s[%d].name: expected an enabled plugin, got %q",
                      path, i, item.name)
    end

    if entities[item.name] then
      return nil, fmt("%s[%d].name: configured already, got %q", path, i,
                      item.name)
    end

    local entity, err = build_entity(item, plugin, scope, workspace_id)
    if not entity then
      return nil, fmt("%s[%d].%s", path, i, err)
    end
    entities[item.name] = entity
  end

  return entities
end


-- @treturn table for each phase the array of entities that implement it, in
-- the order in which they run; narrower scopes come first in the arguments
local function lists_by_phase(...)
  local chosen, ordered = {}, {}
  for _, scope in ipairs({ ... }) do
    for name, entity in pairs(scope) do
      if not chosen[name] then
        chosen[name] = entity
        ordered[#ordered + 1] = entity
      end
    end
  end

  sort(ordered, handlers.runs_before)

  local lists = {}
  for _, phase in ipairs(PHASES) do
    local list = {}
    for _, entity in ipairs(ordered) do
      if entity.handler[phase] then
        list[#list + 1] = entity
      end
    end
    lists[phase] = list
  end
  return lists
end


local _M = {}


--- Builds all entities and gives each route its `plugins`, the arrays by
-- phase.
-- @tparam table config from `kong_host.config`
-- @tparam table loaded from `kong_host.handlers`, by name
-- @treturn table|nil `{ entities, globals }`: all entities, and the arrays by
-- phase for requests without a route
-- @treturn nil|string error with key path
function _M.build(config, loaded)
  local all = {}

  local function build(owner, scope)
    local entities, err = build_scope(owner.plugins, owner.plugins_path,
                                      scope, loaded, config.workspace_id)
    for _, entity in pairs(entities or {}) do
      all[#all + 1] = entity
    end
    return entities, err
  end

  local globals, err = build(config.globals, {})
  if not globals then
    return nil, err
  end

  for _, service in ipairs(config.services) do
    service.scope, err = build(service, { service = service.entity })
    if err then
      return nil, err
    end
  end

  for _, route in ipairs(config.routes) do
    local scope
    scope, err = build(route, { route = route.entity })
    if err then
      return nil, err
    end

    route.plugins = lists_by_phase(scope, route.service
                                          and route.service.scope or {},
                                   globals)
  end

  return { entities = all, globals = lists_by_phase(globals) }
end


--- Gives each entity's configuration its sequence number, unique among all
-- workers of this nginx, past and present. To be called once per worker.
-- @tparam table entities
function _M.number(entities)
  for _, entity in ipairs(entities) do
    -- Kong 3.6+: 0 if the dictionary fails
    entity.conf.__seq__ = shared.kong:incr(SEQ_KEY, 1, 0) or 0
  end
end


--- @tparam table entities
-- @tparam string name of a plugin
-- @treturn table|nil array of its configurations, nil if there are none
function _M.configs_of(entities, name)
  local configs
  for _, entity in ipairs(entities) do
    if entity.name == name then
      configs = configs or {}
      configs[#configs + 1] = entity.conf
    end
  end
  return configs
end


return _M
