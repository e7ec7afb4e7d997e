--- `kong.client.tls`: the client's TLS connection.
-- @module kong.client.tls


local phase_check = require "kong_host.phase_check"
local ssl = require "ngx.ssl"
local tls = require "kong_host.tls"


local error = error
local find = string.find
local ngx = ngx
local type = type


local check = phase_check.check
local CERTIFICATE = phase_check.PHASES.certificate
local CERTIFICATE_CHAIN = phase_check.CERTIFICATE_CHAIN
local CLIENT_VERIFY = phase_check.CLIENT_VERIFY


local _M = {}


--- Asks the client for a certificate, which it need not have.
-- @function kong.client.tls.request_client_certificate
-- @phases certificate
-- @treturn boolean|nil
-- @treturn nil|string error
function _M.request_client_certificate()
  check(CERTIFICATE, "kong.client.tls.request_client_certificate")
  return ssl.verify_client(nil, 0)
end


--- Keeps the client from resuming the session.
-- @function kong.client.tls.disable_session_reuse
-- @phases certificate
-- @treturn boolean|nil
-- @treturn nil|string error
function _M.disable_session_reuse()
  check(CERTIFICATE, "kong.client.tls.disable_session_reuse")
  return tls.disable_session_reuse()
end


--- @function kong.client.tls.get_full_client_certificate_chain
-- @phases rewrite, access, balancer, response, log
-- @treturn string|nil PEM, the client's own certificate first; nil when it sent
-- none
-- @treturn nil|string error
function _M.get_full_client_certificate_chain()
  check(CERTIFICATE_CHAIN, "kong.client.tls.get_full_client_certificate_chain")
  return tls.client_certificate_chain()
end


--- Overrides what `kong_client_verify` says of the client's certificate.
-- @function kong.client.tls.set_client_verify
-- @phases rewrite, access, balancer, response
-- @tparam string result "SUCCESS", "NONE" or "FAILED:reason"
function _M.set_client_verify(result)
  check(CLIENT_VERIFY, "kong.client.tls.set_client_verify")
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
