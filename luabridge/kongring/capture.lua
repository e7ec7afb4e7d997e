--- What the log phase keeps of a request, or of a stream connection.
--
-- Purpose: takes the values that a plugin can ask for later, when nginx has no
-- request any more.
--
-- Called by: saved.lua. Phases: log.
--
-- @module kongring.capture


local clone = require "table.clone"
local pdk = require "kongring.pdk"


local pcall = pcall


local function chain()
  local f = pdk.find("kong.client.tls.get_full_client_certificate_chain")
  if not f then
    return nil, "this Kong has no such method"
  end
  local ok, text, err = pcall(f)
  if ok then
    return text, err
  end
  return nil, text
end


-- what both have
local function common(s)
  local client = kong.client
  s.ngx_ctx = clone(ngx.ctx)
  s.shared = kong.ctx.shared
  s.plugin = kong.ctx.plugin
  s.serialized = kong.log.serialize()
  s.status = ngx.status
  s.start_time = ngx.req.start_time()
  s.client_ip = client.get_ip()
  s.forwarded_ip = client.get_forwarded_ip()
  s.client_port = client.get_port()
  s.forwarded_client_port = client.get_forwarded_port()
  s.protocol, s.no_protocol = client.get_protocol()
  s.terminated_protocol, s.no_terminated_protocol = client.get_protocol(true)
  s.chain, s.no_chain = chain()
  s.port = kong.request.get_port()
  s.start_time_ms = kong.request.get_start_time and
                    kong.request.get_start_time() or s.start_time * 1000
  s.source = kong.response.get_source()
  return s
end


local _M = {}


--- A request that ends now.
-- @phases log
-- @treturn table the values by the names that saved.lua gives them
function _M.http()
  local request, service = kong.request, kong.service.response
  local s = common {
    request_headers = ngx.req.get_headers(),
    response_headers = ngx.resp.get_headers(),
    http_version = request.get_http_version(),
    method = request.get_method(),
    path = request.get_path(),
    raw_path = request.get_raw_path(),
    raw_query = request.get_raw_query(),
    path_with_query = request.get_path_with_query(),
    scheme = request.get_scheme(),
    host = request.get_host(),
    forwarded_scheme = request.get_forwarded_scheme(),
    forwarded_host = request.get_forwarded_host(),
    forwarded_port = request.get_forwarded_port(),
    forwarded_path = request.get_forwarded_path(),
    forwarded_prefix = request.get_forwarded_prefix(),
    service_status = service.get_status(),
  }
  if s.service_status then
    s.service_headers = pdk.find("kong.service.response.get_headers")()
  end
  return s
end


--- A stream connection that ends now: of what requests have beyond, nothing.
-- @phases log
-- @treturn table as `http` gives it
function _M.stream()
  return common { request_headers = {}, response_headers = {}, raw_query = "" }
end


return _M
