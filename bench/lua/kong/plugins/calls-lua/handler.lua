--- The plugin calls in Lua: the same work as server/examples/calls.
--
-- Purpose: what the Go plugin is measured against.
--
-- Called by: the host's run loop, and calls-loop. Phases: access.
--
-- @module kong.plugins.calls-lua.handler


local NAMES = { "x-a", "x-b", "x-c", "x-d", "x-e", "x-f", "x-g", "x-h" }


local CALLS = {
  header = function(i)
    return kong.request.get_header(NAMES[i % 8 + 1])
  end,

  setter = function(i)
    return kong.response.set_header("x-set-" .. i % 8, "value")
  end,

  log = function(i)
    return kong.log.debug("call ", i)
  end,

  getters = function(i)
    local kind = i % 4
    if kind == 0 then
      return kong.request.get_method()
    elseif kind == 1 then
      return kong.request.get_path()
    elseif kind == 2 then
      return kong.client.get_ip()
    end
    return kong.request.get_query_arg("q")
  end,
}


-- what a plugin that checks a request and marks it may do
local MIX = {
  CALLS.header, CALLS.getters, CALLS.header, CALLS.setter, CALLS.header,
  CALLS.getters, CALLS.header, CALLS.log, CALLS.getters, CALLS.header,
}


function CALLS.mix(i)
  return MIX[i % 10 + 1](i)
end


function CALLS.body()
  kong.ctx.shared.body = kong.request.get_raw_body()
end


return {
  PRIORITY = 10,
  VERSION = "0.1",

  access = function(_, conf)
    local call = CALLS[conf.kind]
    for i = 0, conf.n - 1 do
      call(i)
    end
  end,
}
