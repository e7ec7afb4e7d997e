--- `kong.client.tls`: the client's TLS connection. This host has none, so that
-- its functions check their phase and arguments, and say that there is none.
-- @module kong.client.tls


local phase_check = require "kong_host.phase_check"


local error = error
local find = string.find
local ngx = ngx
local type = type


local check = phase_check.check
local CERTIFICATE = phase_check.PHASES.certificate
local REWRITE_ACCESS_BALANCER = phase_check.REWRITE_ACCESS_BALANCER
local CERTIFICATE_CHAIN = phase_check.CERTIFICATE_CHAIN


local NO_TLS = "connection is not TLS or TLS support for Nginx not enabled"


local _M = {}


--- @function kong.client.tls.request_client_certificate
-- @phases certificate
-- @treturn boolean|nil
-- @treturn nil|string error
function _M.request_client_certificate()
  check(CERTIFICATE, "kong.client.tls.request_client_certificate")
  return nil, NO_TLS
end


--- @function kong.client.tls.disable_session_reuse
-- @phases certificate
-- @treturn boolean|nil
-- @treturn nil|string error
function _M.disable_session_reuse()
  check(CERTIFICATE, "kong.client.tls.disable_session_reuse")
  return nil, NO_TLS
end


--- @function kong.client.tls.get_full_client_certificate_chain
-- @phases rewrite, access, balancer, header_filter, body_filter, log
-- @treturn string|nil PEM
-- @treturn nil|string error
function _M.get_full_client_certificate_chain()
  check(CERTIFICATE_CHAIN, "kong.client.tls.get_full_client_certificate_chain")
  return nil, NO_TLS
end


--- Overrides what `kong_client_verify` says of the client's certificate.
-- @function kong.client.tls.set_client_verify
-- @phases rewrite, access, balancer
-- @tparam string result "SUCCESS", "NONE" or "FAILED:reason"
function _M.set_client_verify(result)
  check(REWRITE_ACCESS_BALANCER, "kong.client.tls.set_client_verify")
  if type(result) ~= "string" then
    error("v must be a string", 2)
  elseif result ~= "SUCCESS" and result ~= "NONE"
         and not find(result, "^FAILED:")
  then
    error("unknown client verify value: " .. result ..
          " accepted values are: \"SUCCESS\", \"NONE\" and \"FAILED:reason\"",
          2)
  end

  ngx.ctx.CLIENT_VERIFY_OVERRIDE = result
end


return _M
