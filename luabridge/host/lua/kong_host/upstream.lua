--- Sends a request on to a service: target, path, and the headers that tell
-- the service about the client.
--
-- Plugins change the nginx variables `$upstream_*` between `prepare` and
-- `finish`; the template gives them to proxy_pass.


local balancer = require "ngx.balancer"
local client_request = require "kong_host.client_request"
local resolver = require "kong_host.resolver"
local uri = require "kong_host.uri"


local byte = string.byte
local escape = uri.escape
local gsub = string.gsub
local header = client_request.header
local log = ngx.log
local ngx = ngx
local raw_path = client_request.raw_path
local resolve = resolver.resolve
local get_last_failure = balancer.get_last_failure
local set_current_peer = balancer.set_current_peer
local set_more_tries = balancer.set_more_tries
local set_timeouts = balancer.set_timeouts
local sub = string.sub
local var = ngx.var


local ERR = ngx.ERR
local SLASH = byte("/")
local QUESTION_MARK = byte("?")
local DEFAULT_PORT = { http = 80, https = 443 }


local _M = {}


-- Kong 3.9, path_handling v0: the path of the service and the rest of the
-- request's path are joined by one slash. Where no rest is left, there is a
-- slash at the end if the request's path has one; for the path "/", if the
-- service's has one.
local function join(base, path, rest)
  local ends_in_slash = byte(base, -1) == SLASH
  if ends_in_slash then
    base = sub(base, 1, -2)
  end

  if rest == "" or path == "/" then
    local slash = path == "/" and ends_in_slash
                  or path ~= "/" and byte(path, -1) == SLASH
    return (slash or base == "") and base .. "/" or base
  end

  return byte(rest) == SLASH and base .. rest or base .. "/" .. rest
end


local function set_forwarded(prefix)
  local request = kong.request
  local trusted = kong.ip.is_trusted(kong.client.get_ip())
  local before = var.http_x_forwarded_for

  var.upstream_x_forwarded_for =
    before and before .. ", " .. kong.client.get_ip() or var.remote_addr
  var.upstream_x_forwarded_proto = request.get_forwarded_scheme()
  var.upstream_x_forwarded_host = request.get_forwarded_host()
  var.upstream_x_forwarded_port = request.get_forwarded_port()
  var.upstream_x_forwarded_path =
    trusted and header("X-Forwarded-Path") or raw_path()
  var.upstream_x_forwarded_prefix =
    trusted and header("X-Forwarded-Prefix") or prefix or ""
end


--- Before plugins run in the access phase.
-- @tparam table route with a service
-- @tparam string path normalised
-- @tparam nil|string prefix that is stripped from the path
function _M.prepare(route, path, prefix)
  local service = route.service.entity
  local rest = prefix and sub(path, #prefix + 1) or path

  var.upstream_scheme = service.protocol
  var.upstream_uri = escape(join(service.path or "/", path, rest))
  if route.entity.preserve_host then
    var.upstream_host = var.http_host
  end

  set_forwarded(prefix)
end


--- After plugins have run in the access phase.
-- @tparam table ctx `ngx.ctx`
-- @treturn boolean|nil
-- @treturn nil|string error
function _M.finish(ctx)
  local data = ctx.balancer_data
  local target = data and data.host and data or ctx.service
  local address, err = resolve((gsub(target.host, "^%[(.*)%]$", "%1")))
  if not address then
    return nil, err
  end

  ctx.upstream_address = address
  ctx.upstream_port = target.port

  if var.upstream_host == "" then
    local default = DEFAULT_PORT[var.upstream_scheme]
    var.upstream_host = target.port == default and target.host
                        or target.host .. ":" .. target.port
  end

  if var.is_args == "?" or byte(var.request_uri, -1) == QUESTION_MARK then
    var.upstream_uri = var.upstream_uri .. "?" .. (var.args or "")
  end

  return true
end


-- What a plugin has set, at the first attempt.
local function set_limits(data)
  if data.retries and not get_last_failure() then
    local ok, err = set_more_tries(data.retries)
    if not ok then
      log(ERR, "failed to set retries: ", err)
    end
  end

  if data.connect_timeout then
    local ok, err = set_timeouts(data.connect_timeout / 1000,
                                 data.write_timeout / 1000,
                                 data.read_timeout / 1000)
    if not ok then
      log(ERR, "failed to set timeouts: ", err)
    end
  end
end


--- balancer_by_lua.
function _M.balance()
  local ctx = ngx.ctx
  if ctx.balancer_data then
    set_limits(ctx.balancer_data)
  end

  local ok, err = set_current_peer(ctx.upstream_address, ctx.upstream_port)
  if not ok then
    log(ERR, "failed to set upstream ", ctx.upstream_address, ": ", err)
    return ngx.exit(500)
  end
end


return _M
