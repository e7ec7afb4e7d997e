--- Runs the handlers of plugin entities.
--
-- While a handler runs, `ngx.ctx` names its entity, for `kong.log`,
-- `kong.ctx.plugin` and `kong.plugin.get_id`.


local co_create = coroutine.create
local co_resume = coroutine.resume
local pcall = pcall
local traceback = debug.traceback


local UNEXPECTED = { message = "An unexpected error occurred" }


local _M = { UNEXPECTED = UNEXPECTED }


local function enter(ctx, plugin)
  ctx.plugin_id = plugin.id
  ctx.KONG_LOG = plugin.log
  ctx.KONG_HANDLER = plugin.handler
end


--- Runs all entities of a list; an error of one is raised.
-- @tparam table ctx `ngx.ctx`
-- @tparam table list
-- @tparam string phase
function _M.run(ctx, list, phase)
  for i = 1, #list do
    local plugin = list[i]
    enter(ctx, plugin)
    plugin.handler[phase](plugin.handler, plugin.conf)
    ctx.KONG_LOG = nil
  end
end


--- Runs one entity; an error is logged.
-- @tparam table ctx `ngx.ctx`
-- @tparam table plugin
-- @tparam string phase
-- @treturn boolean whether there was no error
function _M.run_guarded(ctx, plugin, phase)
  enter(ctx, plugin)
  local ok, err = pcall(plugin.handler[phase], plugin.handler, plugin.conf)
  if not ok then
    plugin.log.err("failed to run ", phase, " handler: ", err)
  end
  ctx.KONG_LOG = nil
  return ok
end


--- Runs the access handlers of a list until one has answered the request.
-- Each has a coroutine, because kong.response.exit leaves a handler by
-- yielding for ever. The answer, that of a failed handler included, is then
-- in `ctx.delayed_response`.
-- @tparam table ctx `ngx.ctx`
-- @tparam table list
function _M.run_access(ctx, list)
  ctx.delay_response = true

  for i = 1, #list do
    local plugin = list[i]
    enter(ctx, plugin)
    local co = co_create(plugin.handler.access)
    local ok, err = co_resume(co, plugin.handler, plugin.conf)
    if not ok then
      plugin.log.err("failed to run access handler: ", traceback(co, err))
      ctx.KONG_UNEXPECTED = true
      ctx.delayed_response = { 500, UNEXPECTED }
    end

    ctx.KONG_LOG = nil
    if ctx.delayed_response then
      break
    end
  end

  ctx.delay_response = nil
end


return _M
