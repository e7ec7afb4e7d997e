--- Loads the declarative file and makes of it the entities that plugins see.
--
-- Called once, in init_by_lua, so in the master process; workers inherit the
-- result. Any problem is one error that names the file, the key path and the
-- value, and nginx does not start.


local entities = require "kong_host.entities"
local json = require "kong_host.json"
local rules = require "kong_host.config_rules"
local schema = require "kong_host.schema"


local find = string.find
local fmt = string.format
local io = io
local ipairs = ipairs


local function read(path)
  local file, err = io.open(path, "rb")
  if not file then
    return nil, err
  end

  local text
  text, err = file:read("*a")
  file:close()
  if not text then
    return nil, err
  end

  local document
  document, err = json.decode(text)
  if document == nil then
    return nil, err
  end

  err = schema.validate(rules.DOCUMENT, document, "")
  if err then
    return nil, err
  end

  return document
end


-- Builds each item of an array, and refuses two of the same name or id.
-- @treturn table|nil the results as `list`, `by_key` (of their entity) and
-- `by_id`
local function build_all(items, kind, key, build_one, ...)
  local list, by_key, by_id = {}, {}, {}

  for i, item in ipairs(items or {}) do
    local path = fmt("%s[%d]", kind, i)
    local built, err = build_one(item, path, ...)
    if not built then
      return nil, err
    end

    local made = built.entity or built
    local name = made[key]
    if name and by_key[name] then
      return nil, fmt("%s.%s: in use already, got %q", path, key, name)
    end

    if by_id[made.id] then
      return nil, fmt("%s.id: in use already, got %q", path, made.id)
    end

    list[i] = built
    by_id[made.id] = built
    if name then
      by_key[name] = built
    end
  end

  return { list = list, by_key = by_key, by_id = by_id }
end


local function build(document)
  local consumers, err =
    build_all(document.consumers, "consumers", "username", entities.consumer)
  if not consumers then
    return nil, err
  end

  local services
  services, err =
    build_all(document.services, "services", "name", entities.service)
  if not services then
    return nil, err
  end

  local upstreams
  upstreams, err =
    build_all(document.upstreams, "upstreams", "name", entities.upstream)
  if not upstreams then
    return nil, err
  end

  local routes
  routes, err =
    build_all(document.routes, "routes", "name", entities.route,
              services.by_key)
  if not routes then
    return nil, err
  end

  return {
    workspace_id = entities.WORKSPACE_ID,
    trusted_ips = document.trusted_ips or {},
    consumers_by_id = consumers.by_id,
    consumers_by_username = consumers.by_key,
    upstreams_by_name = upstreams.by_key,
    enabled_plugins = document.plugins or {},
    services = services.list,
    routes = routes.list,
    globals = {
      plugins = document.global_plugins or {},
      plugins_path = "global_plugins",
    },
  }
end


local _M = {}


--- @tparam string path of the JSON file
-- @treturn table|nil the entities
-- @treturn nil|string an error that names the file
function _M.load(path)
  local document, err = read(path)
  if not document then
    return nil, _M.error_text(path, err)
  end

  local config
  config, err = build(document)
  if not config then
    return nil, _M.error_text(path, err)
  end

  return config
end


--- @tparam string path of the JSON file
-- @tparam string err what is wrong with it
-- @treturn string with the name of the file
function _M.error_text(path, err)
  -- io.open names it already
  return find(err, path, 1, true) and err or path .. ": " .. err
end


return _M
