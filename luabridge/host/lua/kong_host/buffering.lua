--- Buffered proxying: takes in the whole response of the service, so that
-- the `response` phase of plugins can read it before any of it is sent.


local METHODS = require "kong_host.methods"
local phase_check = require "kong_host.phase_check"


local capture = ngx.location.capture
local get_method = ngx.req.get_method
local read_body = ngx.req.read_body


local RESPONSE = phase_check.PHASES.response


-- Internal; proxies like the main location. See the template.
local LOCATION = "/kong_host_buffered"


local _M = {}


--- Asks the service, and enters the response phase: status and headers are
-- copied to the response, for plugins to change.
-- @tparam table ctx `ngx.ctx`
-- @treturn string|nil the body
-- @treturn nil|string error
function _M.fetch(ctx)
  ctx.buffered_proxying = true
  read_body()

  local method = get_method()
  local answer = capture(LOCATION, {
    method = METHODS[method],
    always_forward_body = true,
    share_all_vars = true,
    ctx = ctx,
  })
  if answer.truncated and method ~= "HEAD" then
    return nil, "failed to read response of service: truncated"
  end

  ctx.KONG_PHASE = RESPONSE
  ctx.buffered_status = answer.status
  ctx.buffered_headers = answer.header
  ctx.buffered_body = answer.body

  kong.response.set_status(answer.status)
  kong.response.set_headers(answer.header)
  return answer.body
end


return _M
