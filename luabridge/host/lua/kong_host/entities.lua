--- Makes of checked items of the declarative file what plugins see as
-- consumers, services and routes: the fields of Kong's entities.
--
-- Each function takes the item and its key path, and returns what it made, or
-- nil and what is wrong.


local json = require "kong_host.json"
local resolver = require "kong_host.resolver"
local rules = require "kong_host.config_rules"
local schema = require "kong_host.schema"
local uuid = require "kong_host.uuid"


local fmt = string.format
local gsub = string.gsub
local match = string.match
local setmetatable = setmetatable
local time = ngx.time
local tonumber = tonumber


local DEFAULT_PORT = { http = 80, https = 443 }
local TIMEOUT = 60000


-- Kong's default workspace: everything belongs to it.
local WORKSPACE_ID = uuid.derive("workspace", "default")


local _M = { WORKSPACE_ID = WORKSPACE_ID }


local function array(values)
  return setmetatable(values, json.array_mt)
end


-- Fields that all entities have.
local function entity(kind, name, item)
  local now = time()
  return {
    id = item.id or uuid.derive(kind, name),
    name = item.name,
    tags = item.tags,
    ws_id = WORKSPACE_ID,
    created_at = now,
    updated_at = now,
  }
end


-- The host of a URL and, where it has one, the port. IPv6 is in brackets.
local function split_authority(authority)
  local host, port = match(authority, "^(%[[%x:.]+%]):?(%d*)$")
  if not host then
    host, port = match(authority, "^([^:@%[%]]+):?(%d*)$")
  end
  return host, port ~= "" and tonumber(port) or nil
end


-- The canned answer of a route without a service.
local function respond(item, path)
  local answer = item.respond or {}
  schema.validate(rules.RESPOND, answer, path .. ".respond") -- defaults
  answer.length = #answer.body
  return answer
end


--- @treturn table|nil the entity
function _M.consumer(item, path)
  local name = item.username or item.custom_id or item.id
  if not name then
    return nil, path .. ": expected one of id, username, custom_id, got " ..
                schema.show(item)
  end

  local consumer = entity("consumer", name, item)
  consumer.username = item.username
  consumer.custom_id = item.custom_id
  return consumer
end


--- @treturn table|nil `{ entity, plugins, plugins_path }`
function _M.service(item, path)
  local protocol, authority, base = match(item.url, "^(%a+)://([^/]+)(.*)$")
  local host, port = split_authority(authority)
  if not host or port and port > 65535 then
    return nil, fmt("%s.url: expected host[:port], got %q", path, authority)
  end

  local address, err = resolver.resolve((gsub(host, "^%[(.*)%]$", "%1")))
  if not address then
    return nil, path .. ".url: " .. err
  end

  local service = entity("service", item.name, item)
  service.protocol = protocol
  service.host = host
  service.port = port or DEFAULT_PORT[protocol]
  service.path = base ~= "" and base or nil
  service.enabled = true
  service.retries = 5
  service.connect_timeout = TIMEOUT
  service.read_timeout = TIMEOUT
  service.write_timeout = TIMEOUT

  return {
    entity = service,
    plugins = item.plugins or {},
    plugins_path = path .. ".plugins",
  }
end


--- An upstream has one target: there is no load balancing here.
-- @treturn table|nil the entity, with `host` and `port`
function _M.upstream(item, path)
  local host, port = split_authority(item.target)
  if not host or not port or port > 65535 then
    return nil, fmt("%s.target: expected host:port, got %q", path, item.target)
  end

  local upstream = entity("upstream", item.name, item)
  upstream.host = host
  upstream.port = port
  return upstream
end


--- @tparam table services by name
-- @treturn table|nil `{ entity, service | respond, plugins, plugins_path }`
function _M.route(item, path, services)
  if item.service and item.respond then
    return nil, path .. ": service and respond exclude each other, got " ..
                schema.show(item)
  end

  local service = item.service and services[item.service]
  if item.service and not service then
    return nil, fmt("%s.service: expected the name of a service, got %q",
                    path, item.service)
  end

  local route = entity("route", item.name, item)
  route.protocols = array(item.protocols or { "http", "https" })
  route.methods = item.methods
  route.hosts = item.hosts
  route.paths = array(item.paths or { "/" })
  route.strip_path = item.strip_path
  route.preserve_host = item.preserve_host
  route.https_redirect_status_code = 426
  route.path_handling = "v0"
  route.regex_priority = 0
  route.request_buffering = true
  route.response_buffering = true
  route.service = service and { id = service.entity.id } or nil

  return {
    entity = route,
    service = service,
    respond = not service and respond(item, path) or nil,
    plugins = item.plugins or {},
    plugins_path = path .. ".plugins",
  }
end


return _M
