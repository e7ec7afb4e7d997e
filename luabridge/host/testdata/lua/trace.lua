--- Handlers that note, in kong.ctx.shared.trace, that they ran.
--
-- Their configuration says what else they do: `fail` and `exit` name phases,
-- `sleep` is a time in seconds for the access phase.


local _M = {}


local function note(name, phase, conf)
  local shared = kong.ctx.shared
  shared.trace = (shared.trace and shared.trace .. " " or "") .. name .. ":" ..
                 phase .. (conf.label and "=" .. conf.label or "")
  kong.ctx.plugin.runs = (kong.ctx.plugin.runs or 0) + 1
  return shared.trace
end


local function act(name, phase, conf)
  if conf.fail == phase then
    error(name .. " fails in " .. phase)
  end

  if conf.exit == phase then
    kong.response.exit(418, { plugin = name, phase = phase },
                       { ["X-Exit"] = name })
    error("exit returned")
  end
end


function _M.handler(name, priority)
  local handler = { PRIORITY = priority, VERSION = "1.0" }

  for _, phase in ipairs({ "rewrite", "access", "header_filter",
                           "body_filter", "log" }) do
    handler[phase] = function(_, conf)
      local trace = note(name, phase, conf)
      if phase == "access" and conf.sleep then
        ngx.sleep(conf.sleep)
      end
      act(name, phase, conf)
      if phase == "header_filter" then
        kong.response.set_header("X-Trace", trace)
      elseif phase == "log" then
        kong.log.notice("TRACE ", trace, " runs ", kong.ctx.plugin.runs)
      end
    end
  end

  return handler
end


return _M
