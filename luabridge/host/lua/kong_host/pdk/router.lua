--- `kong.router`: what the request was matched with.
-- @module kong.router


local phase_check = require "kong_host.phase_check"


local check = phase_check.check
local ngx = ngx
local AUTHENTICATED = phase_check.AUTHENTICATED


local _M = {}


--- @function kong.router.get_route
-- @phases access, response, header_filter, body_filter, log
-- @treturn table|nil
function _M.get_route()
  check(AUTHENTICATED, "kong.router.get_route")
  return ngx.ctx.route
end


--- @function kong.router.get_service
-- @phases access, response, header_filter, body_filter, log
-- @treturn table|nil
function _M.get_service()
  check(AUTHENTICATED, "kong.router.get_service")
  return ngx.ctx.service
end


return _M
