--- `kong.client`: who asks.
-- @module kong.client


local phase_check = require "kong_host.phase_check"
local uuid = require "kong_host.uuid"


local error = error
local lower = string.lower
local ngx = ngx
local tonumber = tonumber
local type = type
local var = ngx.var


local check = phase_check.check
local check_not = phase_check.check_not
local ACCESS = phase_check.PHASES.access
local AUTHENTICATED = phase_check.AUTHENTICATED
local INIT_WORKER = phase_check.PHASES.init_worker


local consumers_by_id = {}
local consumers_by_username = {}


local _M = { tls = require "kong_host.pdk.client_tls" }


-- HTTPS is terminated here, or by a trusted proxy in front.
local function is_https(allow_terminated)
  if var.scheme == "https" then
    return true
  end

  if not allow_terminated or not kong.ip.is_trusted(_M.get_ip()) then
    return false
  end

  local proto = ngx.req.get_headers()["X-Forwarded-Proto"]
  if type(proto) == "table" then
    return nil, "Only one X-Forwarded-Proto header allowed"
  end
  return proto ~= nil and lower(proto) == "https"
end


--- Sets who can be loaded. Not part of the PDK.
-- @tparam table by_id
-- @tparam table by_username
function _M._set_consumers(by_id, by_username)
  consumers_by_id, consumers_by_username = by_id, by_username
end


--- @function kong.client.get_ip
-- @phases all but init_worker
-- @treturn string the address that is connected to nginx
function _M.get_ip()
  check_not(INIT_WORKER, "kong.client.get_ip")
  return var.realip_remote_addr or var.remote_addr
end


--- @function kong.client.get_forwarded_ip
-- @phases all but init_worker
-- @treturn string the address in X-Real-IP if a trusted client sends it
function _M.get_forwarded_ip()
  check_not(INIT_WORKER, "kong.client.get_forwarded_ip")
  return var.remote_addr
end


--- @function kong.client.get_port
-- @phases all but init_worker
-- @treturn number the port that is connected to nginx
function _M.get_port()
  check_not(INIT_WORKER, "kong.client.get_port")
  return tonumber(var.realip_remote_port or var.remote_port)
end


--- @function kong.client.get_forwarded_port
-- @phases all but init_worker
-- @treturn number|nil the port in X-Real-IP if a trusted client sends it
function _M.get_forwarded_port()
  check_not(INIT_WORKER, "kong.client.get_forwarded_port")
  return tonumber(var.remote_port)
end


--- @function kong.client.get_credential
-- @phases access, response, header_filter, body_filter, log
-- @treturn table|nil
function _M.get_credential()
  check(AUTHENTICATED, "kong.client.get_credential")
  return ngx.ctx.authenticated_credential
end


--- @function kong.client.get_consumer
-- @phases access, response, header_filter, body_filter, log
-- @treturn table|nil
function _M.get_consumer()
  check(AUTHENTICATED, "kong.client.get_consumer")
  return ngx.ctx.authenticated_consumer
end


--- @function kong.client.load_consumer
-- @phases access, response, header_filter, body_filter, log
-- @tparam string consumer_id
-- @tparam[opt] boolean search_by_username take the id for a username if it
-- is no id
-- @treturn table|nil
function _M.load_consumer(consumer_id, search_by_username)
  check(AUTHENTICATED, "kong.client.load_consumer")

  if type(consumer_id) ~= "string" then
    error("consumer_id must be a string", 2)
  end

  local is_uuid = uuid.is_valid(consumer_id)
  if not is_uuid and not search_by_username then
    error("cannot load a consumer with an id that is not a uuid", 2)
  end

  return is_uuid and consumers_by_id[consumer_id]
         or search_by_username and consumers_by_username[consumer_id]
         or nil
end


--- Declares who asks. Sets no header.
-- @function kong.client.authenticate
-- @phases access
-- @tparam[opt] table consumer
-- @tparam[opt] table credential
function _M.authenticate(consumer, credential)
  check(ACCESS, "kong.client.authenticate")

  if consumer ~= nil and type(consumer) ~= "table" then
    error("consumer must be a table or nil", 2)
  elseif credential ~= nil and type(credential) ~= "table" then
    error("credential must be a table or nil", 2)
  elseif consumer == nil and credential == nil then
    error("either credential or consumer must be provided", 2)
  end

  local ctx = ngx.ctx
  ctx.authenticated_consumer = consumer
  ctx.authenticated_credential = credential
end


--- @function kong.client.get_protocol
-- @phases access, response, header_filter, body_filter, log
-- @tparam[opt] boolean allow_terminated heed a trusted X-Forwarded-Proto
-- @treturn string|nil "http" or "https"
-- @treturn nil|string error
function _M.get_protocol(allow_terminated)
  check(AUTHENTICATED, "kong.client.get_protocol")

  local route = ngx.ctx.route
  if not route then
    return nil, "No active route found"
  end

  if #route.protocols == 1 then
    return route.protocols[1]
  end

  local https, err = is_https(allow_terminated)
  if err then
    return nil, err
  end
  return https and "https" or "http"
end


return _M
