--- `kong.log.serialize` and `kong.log.set_serialize_value`.
-- @module kong.log


local phase_check = require "kong_host.phase_check"
local ssl = require "ngx.ssl"


local error = error
local find = string.find
local gmatch = string.gmatch
local ipairs = ipairs
local match = string.match
local max = math.max
local ngx = ngx
local null = ngx.null
local pairs = pairs
local tonumber = tonumber
local tostring = tostring
local type = type
local var = ngx.var


local check = phase_check.check
local LOG = phase_check.PHASES.log
local SERIALIZE_VALUE = phase_check.SERIALIZE_VALUE


local MODES = { set = true, add = true, replace = true }
local SCALARS = { string = true, number = true, boolean = true }
local SECRETS = { "authorization", "proxy-authorization" }


-- Kong's name for each source of a response
local SOURCES = {
  service = "upstream",
  exit = "kong",
  error = "kong",
}


local function is_plain(value, parents)
  if value == nil or value == null or SCALARS[type(value)] then
    return true
  end

  if type(value) ~= "table" or parents[value] then
    return false
  end

  parents[value] = true
  for key, item in pairs(value) do
    if not SCALARS[type(key)] or not is_plain(item, parents) then
      return false
    end
  end
  return true
end


local function apply(root, item)
  if not is_plain(item.value, {}) then
    error("value must be nil, a number, string, boolean or a table of such " ..
          "that does not contain itself", 3)
  end

  local node = root
  for name in gmatch(match(item.key, "^(.*)%.") or "", "[^.]+") do
    local child = node[name]
    if child == nil then
      if item.mode == "replace" then
        return
      end
      child = {}
      node[name] = child
    elseif type(child) ~= "table" then
      error("key " .. item.key .. " cannot be set: " .. name ..
            " is not a table but " .. tostring(child), 3)
    end
    node = child
  end

  local last = match(item.key, "[^.]*$")
  local exists = node[last] ~= nil
  if item.mode == "set" or exists == (item.mode == "replace") then
    node[last] = item.value
  end
end


local function authenticated_entity(ctx)
  local credential = ctx.authenticated_credential
  return credential and {
    id = credential.id,
    consumer_id = credential.consumer_id,
  }
end


local function copy(value)
  if type(value) ~= "table" then
    return value
  end

  local result = {}
  for key, item in pairs(value) do
    result[key] = copy(item)
  end
  return result
end


local function redact(headers)
  for _, name in ipairs(SECRETS) do
    if headers[name] then
      headers[name] = "REDACTED"
    end
  end
  return headers
end


local function upstream_uri()
  local uri = var.upstream_uri or ""
  if uri ~= "" and not find(uri, "?", 1, true) and var.is_args == "?" then
    uri = uri .. "?" .. (var.args or "")
  end
  return uri
end


local function latencies()
  local request = tonumber(var.request_time) * 1000
  local proxy = tonumber(match(var.upstream_response_time or "", "[%d.]+$"))
  proxy = proxy and proxy * 1000
  return {
    request = request,
    proxy = proxy or -1,
    kong = max(request - (proxy or 0), 0), -- two clocks, each in whole ms
    receive = 0,
  }
end


-- the connection of a request that came with TLS
local function tls(ctx)
  local version = ssl.get_tls1_version_str()
  return version and {
    version = version,
    cipher = var.ssl_cipher,
    client_verify = ctx.CLIENT_VERIFY_OVERRIDE or var.ssl_client_verify,
  }
end


local _M = {}


--- What the logging plugins of Kong write: one table about the request.
-- Of Kong's fields, `tries`, `workspace_name` and `request.tls` are left out.
-- @function kong.log.serialize
-- @phases log
-- @treturn table
function _M.serialize()
  check(LOG, "kong.log.serialize")

  local kong = kong
  local request = kong.request
  local ctx = ngx.ctx
  local request_uri = var.request_uri or ""

  local root = {
    request = {
      id = var.request_id,
      uri = request_uri,
      url = var.scheme .. "://" .. var.host .. ":" .. var.server_port ..
            request_uri,
      querystring = request.get_query(),
      method = request.get_method(),
      headers = redact(request.get_headers()),
      size = tonumber(var.request_length),
      tls = tls(ctx),
    },
    response = {
      status = ngx.status,
      headers = ngx.resp.get_headers(),
      size = tonumber(var.bytes_sent),
    },
    upstream_uri = upstream_uri(),
    upstream_status = var.upstream_status or ctx.buffered_status or "",
    latencies = latencies(),
    authenticated_entity = authenticated_entity(ctx),
    route = copy(ctx.route),
    service = copy(ctx.service),
    consumer = copy(ctx.authenticated_consumer),
    client_ip = var.remote_addr,
    started_at = request.get_start_time(),
    source = SOURCES[kong.response.get_source()],
    workspace = ctx.route and ctx.route.ws_id,
  }

  for _, item in ipairs(ctx.serialize_values or {}) do
    apply(root, item)
  end

  return root
end


--- Sets a value in what `serialize` will return.
-- @function kong.log.set_serialize_value
-- @phases rewrite, access, response, header_filter, body_filter, log
-- @tparam string key names joined by dots
-- @param value string, number, boolean, nil or a table of such
-- @tparam[opt] table options `mode`: "set" (default), "add" (only if absent)
-- or "replace" (only if present)
function _M.set_serialize_value(key, value, options)
  check(SERIALIZE_VALUE, "kong.log.set_serialize_value")

  if type(key) ~= "string" then
    error("key must be a string", 2)
  end

  local mode = options and options.mode or "set"
  if not MODES[mode] then
    error("mode must be 'set', 'add' or 'replace'", 2)
  end

  local ctx = ngx.ctx
  local values = ctx.serialize_values
  if not values then
    values = {}
    ctx.serialize_values = values
  end
  values[#values + 1] = { key = key, value = value, mode = mode }
end


return _M
