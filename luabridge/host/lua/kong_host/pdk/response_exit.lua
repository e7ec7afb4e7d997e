--- `kong.response.exit` and `kong.response.error`: answer instead of the
-- service. Neither returns, but for header_filter, where nginx has no way to
-- leave a handler.
--
-- In the access phase each plugin runs in a coroutine of its own. There the
-- answer is only kept, as `ngx.ctx.delayed_response`, and the coroutine
-- yields for ever; the run loop skips the other plugins and sends it. In
-- other phases it is sent at once.
-- @module kong.response


local error_body = require "kong_host.pdk.error_body"
local headers = require "kong_host.headers"
local json = require "kong_host.json"
local phase_check = require "kong_host.phase_check"


local coroutine_yield = coroutine.yield
local encode = json.encode
local error = error
local fmt = string.format
local gsub = string.gsub
local lower = string.lower
local ngx = ngx
local ngx_exit = ngx.exit
local normalize = headers.normalize
local pairs = pairs
local pcall = pcall
local print = ngx.print
local type = type
local validate_all = headers.validate_all


local check = phase_check.check
local WRITE = phase_check.RESPONSE_WRITE
local HEADER_FILTER = phase_check.PHASES.header_filter


local MIN_STATUS = 100
local MIN_ERROR_STATUS = 400
local MAX_STATUS = 599


local JSON_TYPE = "application/json; charset=utf-8"


local _M = {}


-- Sets the headers. Says whether content-type and content-length are given.
local function set_headers(values)
  local typed, sized = false, false

  for name, value in pairs(values) do
    local folded = gsub(lower(name), "_", "-")
    if folded == "transfer-encoding" then
      kong.log.warn("Transfer-Encoding is set by nginx alone. Ignored.")
    else
      ngx.header[name] = normalize(value)
    end

    typed = typed or folded == "content-type"
    sized = sized or folded == "content-length"
  end

  return typed, sized
end


--- Sends a response and ends the request. Returns only in header_filter.
-- @tparam table ctx `ngx.ctx`
-- @tparam number status
-- @tparam[opt] string|table body a table becomes JSON
-- @tparam[opt] table values headers
function _M.send(ctx, status, body, values)
  if ngx.headers_sent then
    error("headers have already been sent", 3)
  end

  ngx.status = status

  local typed, sized
  if values then
    typed, sized = set_headers(values)
  end

  if type(body) == "table" then
    local ok, text = pcall(encode, body)
    if not ok then
      error("failed to encode body: " .. text, 3)
    end

    body = text
    if not typed then
      ngx.header["Content-Type"] = JSON_TYPE
    end
  end

  if not sized then
    ngx.header["Content-Length"] = body and #body or 0
  end

  -- A header filter cannot write. The body filter puts this in place of the
  -- body that is on its way.
  if ctx.KONG_PHASE == HEADER_FILTER then
    ctx.response_body = body or ""
    return ngx_exit(ngx.OK)
  end

  if body then
    print(body)
  end
  return ngx_exit(status)
end


local function send_or_delay(status, body, values)
  local ctx = ngx.ctx
  ctx.KONG_EXITED = true

  if ctx.delay_response and not ctx.delayed_response then
    ctx.delayed_response = { status, body, values }
    coroutine_yield()
    error("coroutine resumed after its response", 2)
  end

  return _M.send(ctx, status, body, values)
end


-- Checks arguments; raises at the caller's caller.
local function check_arguments(status, min_status, values)
  if ngx.headers_sent then
    error("headers have already been sent", 3)
  end

  if type(status) ~= "number" then
    error("code must be a number", 3)
  elseif status < min_status or status > MAX_STATUS then
    error(fmt("code must be a number between %d and %d", min_status,
              MAX_STATUS), 3)
  end

  if values ~= nil and type(values) ~= "table" then
    error("headers must be a nil or table", 3)
  end
end


--- Answers the request.
-- @function kong.response.exit
-- @phases rewrite, access, response, header_filter
-- @tparam number status 100 to 599
-- @tparam[opt] string|table body a table becomes JSON
-- @tparam[opt] table values headers
function _M.exit(status, body, values)
  check(WRITE, "kong.response.exit")
  check_arguments(status, MIN_STATUS, values)

  if body ~= nil and type(body) ~= "string" and type(body) ~= "table" then
    error("body must be a nil, string or table", 2)
  end

  if values ~= nil then
    validate_all(values)
  end

  return send_or_delay(status, body, values)
end


--- Answers with an error whose form follows the request's Accept header.
-- @function kong.response.error
-- @phases rewrite, access, response, header_filter
-- @tparam number status 400 to 599
-- @tparam[opt] string|table message a table becomes JSON text; absent, the
-- usual words for the status
-- @tparam[opt] table values headers
function _M.error(status, message, values)
  check(WRITE, "kong.response.error")
  check_arguments(status, MIN_ERROR_STATUS, values)

  if type(message) == "table" then
    local ok, text = pcall(encode, message)
    if not ok then
      error("failed to encode message: " .. text, 2)
    end
    message = text
  elseif message ~= nil and type(message) ~= "string" then
    error("message must be a nil, a string or a table", 2)
  end

  local all = {}
  if values ~= nil then
    validate_all(values)
    for name, value in pairs(values) do
      all[name] = value
    end
  end

  local given = all["Content-Type"]
  if type(given) == "table" then
    given = given[1]
  end

  local body, content_type = error_body.new(status, message, given)
  all["Content-Type"] = content_type
  return send_or_delay(status, body, all)
end


return _M
