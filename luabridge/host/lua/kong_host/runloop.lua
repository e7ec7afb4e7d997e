--- Runs the plugins in each phase of a request, as Kong's run loop does.
--
-- The fields in `ngx.ctx` have Kong's names, because plugins may know them:
-- KONG_PHASE, plugin_id, route, service, delay_response, delayed_response, ...


local buffering = require "kong_host.buffering"
local clear = require "table.clear"
local client_request = require "kong_host.client_request"
local phase_check = require "kong_host.phase_check"
local plugin_runner = require "kong_host.plugin_runner"
local response_exit = require "kong_host.pdk.response_exit"
local router = require "kong_host.router"
local upstream = require "kong_host.upstream"


local arg = ngx.arg
local get_method = ngx.req.get_method
local ipairs = ipairs
local match_route = router.match
local ngx = ngx
local ngx_exit = ngx.exit
local print = ngx.print
local request_path = client_request.path
local run = plugin_runner.run
local run_access = plugin_runner.run_access
local run_guarded = plugin_runner.run_guarded
local send = response_exit.send
local var = ngx.var


local PHASES = phase_check.PHASES
local CERTIFICATE = PHASES.certificate
local REWRITE = PHASES.rewrite
local ACCESS = PHASES.access
local HEADER_FILTER = PHASES.header_filter
local BODY_FILTER = PHASES.body_filter
local LOG = PHASES.log


local UNEXPECTED = plugin_runner.UNEXPECTED
local NO_ROUTE = { message = "no Route matched with those values" }
local UNRESOLVED = { message = "name resolution failed" }


-- Set by start, then constant.
local routes                              -- for kong_host.router
local globals                             -- for requests without a route
local any_header_filter, any_body_filter, any_log


local _M = {}


local function implemented(plugins, phase)
  for _, plugin in ipairs(plugins) do
    if plugin.handler[phase] then
      return true
    end
  end
  return false
end


local function fail(ctx)
  ctx.KONG_UNEXPECTED = true
  return send(ctx, 500, UNEXPECTED)
end


-- An answer of the gateway itself. Kong counts it as an exit.
local function refuse(ctx, status, body)
  ctx.KONG_EXITED = true
  return send(ctx, status, body)
end


-- The cheapest answer there is: what a benchmark of plugins runs on.
local function respond(answer)
  local header = ngx.header
  header["Content-Type"] = answer.content_type
  header["Content-Length"] = answer.length
  ngx.status = answer.status
  print(answer.body)
  return ngx_exit(answer.status)
end


local function proxy(ctx, route)
  local ok, err = upstream.finish(ctx)
  if not ok then
    ngx.log(ngx.ERR, err)
    return refuse(ctx, 503, UNRESOLVED)
  end

  ctx.KONG_PROXIED = true

  local responders = route.plugins.response
  if #responders == 0 and not ctx.buffered_proxying then
    return -- nginx goes on to proxy_pass
  end

  local body
  body, err = buffering.fetch(ctx)
  if not body then
    ngx.log(ngx.ERR, err)
    return refuse(ctx, 502, { message = err })
  end

  for i = 1, #responders do
    if not run_guarded(ctx, responders[i], "response") then
      return fail(ctx)
    end
  end

  print(body)
  return ngx_exit(ngx.status)
end


--- Takes over what was loaded. To be called once, in init_by_lua.
-- @tparam table candidates from `kong_host.router`
-- @tparam table global_plugins entities by phase
-- @tparam table enabled plugins, `{ handler }`
function _M.start(candidates, global_plugins, enabled)
  routes, globals = candidates, global_plugins
  any_header_filter = implemented(enabled, "header_filter")
  any_body_filter = implemented(enabled, "body_filter")
  any_log = implemented(enabled, "log")
end


--- ssl_certificate_by_lua: global plugins, before there is a request. An error
-- of one ends the handshake.
function _M.certificate()
  local ctx = ngx.ctx
  ctx.KONG_PHASE = CERTIFICATE
  run(ctx, globals.certificate, "certificate")
  clear(ctx) -- else the connection's requests would inherit it
end


--- rewrite_by_lua: global plugins, before there is a route.
function _M.rewrite()
  local ctx = ngx.ctx
  ctx.KONG_PHASE = REWRITE

  local list = globals.rewrite
  for i = 1, #list do
    if not run_guarded(ctx, list[i], "rewrite") then
      return fail(ctx)
    end
  end
end


--- access_by_lua: finds the route, runs its plugins, answers or proxies.
function _M.access()
  local ctx = ngx.ctx
  ctx.KONG_PHASE = ACCESS

  local path = request_path()
  local route, prefix = match_route(routes, path, var.host, get_method())
  if not route then
    return refuse(ctx, 404, NO_ROUTE)
  end

  local entity, service, plugins = route.entity, route.service, route.plugins
  ctx.route = entity
  ctx.plugins = plugins
  if entity.strip_path and prefix ~= "/" then
    ctx.stripped_prefix = prefix
  end
  if service then
    ctx.service = service.entity
    upstream.prepare(route, path, entity.strip_path and prefix or nil)
  end

  local list = plugins.access
  if #list > 0 then
    run_access(ctx, list)

    local delayed = ctx.delayed_response
    if delayed then
      return send(ctx, delayed[1], delayed[2], delayed[3])
    end
  end

  if service then
    return proxy(ctx, route)
  end

  ctx.KONG_EXITED = true
  return respond(route.respond)
end


--- header_filter_by_lua.
function _M.header_filter()
  if not any_header_filter then
    return
  end

  local ctx = ngx.ctx
  ctx.KONG_PHASE = HEADER_FILTER
  run(ctx, (ctx.plugins or globals).header_filter, "header_filter")
end


--- body_filter_by_lua.
function _M.body_filter()
  if not any_header_filter and not any_body_filter then
    return
  end

  local ctx = ngx.ctx
  ctx.KONG_PHASE = BODY_FILTER

  -- kong.response.exit in a header filter. nginx does not send the headers of
  -- a body that an empty string ends, so each piece is dropped instead.
  local body = ctx.response_body
  if body == "" then
    arg[1] = nil
  elseif body then
    arg[1] = body
    arg[2] = true
  end

  run(ctx, (ctx.plugins or globals).body_filter, "body_filter")
end


--- log_by_lua.
function _M.log()
  if not any_log then
    return
  end

  local ctx = ngx.ctx
  ctx.KONG_PHASE = LOG
  local list = (ctx.plugins or globals).log
  for i = 1, #list do
    run_guarded(ctx, list[i], "log")
  end
end


return _M
