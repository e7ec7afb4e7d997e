--- What a plugin needs of Kong in nginx's stream subsystem, as Kong 3.9 has it:
-- makes the global `kong` and runs the handlers of one plugin.
--
--     stream_kong = require("stream_kong").new("plugin", { key = "value" })


local VALID = {
  [200] = true, [400] = true, [403] = true, [500] = true, [502] = true,
  [503] = true,
}


local LEVELS = {
  emerg = ngx.EMERG, alert = ngx.ALERT, crit = ngx.CRIT, err = ngx.ERR,
  warn = ngx.WARN, notice = ngx.NOTICE, info = ngx.INFO, debug = ngx.DEBUG,
}


local function forbidden()
  error("function cannot be called in " .. ngx.get_phase() .. " phase", 2)
end


local function send(status, body)
  if body and status < 400 then
    assert(ngx.print(body))
  elseif body then
    ngx.log(ngx.ERR, "unable to proxy stream connection, status: ", status,
            ", err: ", body)
  end
  return ngx.exit(status)
end


-- leaves the handler for good, as in Kong's preread
local function exit(status, body)
  if not VALID[status] then
    error("unacceptable code, only 200, 400, 403, 500, 502 and 503 are " ..
          "accepted", 2)
  end
  if type(body) == "table" then
    body = body.message
  end
  ngx.ctx.answer = { status, body }
  coroutine.yield()
end


local function new_log()
  local log = {
    serialize = function()
      return {
        session = { status = ngx.status },
        client_ip = ngx.var.remote_addr,
      }
    end,
  }
  for name, level in pairs(LEVELS) do
    log[name] = function(...)
      ngx.log(level, ...)
    end
  end
  return log
end


local function address()
  return ngx.var.remote_addr
end


local function port()
  return tonumber(ngx.var.remote_port)
end


local _M = {}
local mt = { __index = _M }


--- @tparam string plugin its name
-- @tparam table conf its config
function _M.new(plugin, conf)
  kong = {
    log = new_log(),
    ctx = setmetatable({}, {
      __index = function(_, name)
        local values = ngx.ctx[name] or {}
        ngx.ctx[name] = values
        return values
      end,
    }),
    client = {
      get_ip = address, get_forwarded_ip = address,
      get_port = port, get_forwarded_port = port,
      get_protocol = function() return "tcp" end,
    },
    nginx = { get_subsystem = function() return ngx.config.subsystem end },
    request = {
      get_method = forbidden, get_path = forbidden, get_query = forbidden,
      get_port = function() return tonumber(ngx.var.server_port) end,
    },
    response = {
      exit = exit,
      get_source = function() return "exit" end,
      get_status = function() return ngx.status end,
    },
    service = { response = {} },
  }
  return setmetatable({
    handler = require("kong.plugins." .. plugin .. ".handler"),
    conf = conf,
  }, mt)
end


function _M:init_worker()
  self.handler.init_worker()
end


function _M:preread()
  local co = coroutine.create(self.handler.preread)
  local ok, err = coroutine.resume(co, self.handler, self.conf)
  if not ok then
    ngx.log(ngx.ERR, "failed to run preread handler: ", err)
    return ngx.exit(500)
  end
  local answer = ngx.ctx.answer
  if answer then
    return send(answer[1], answer[2])
  end
end


function _M:log()
  self.handler.log(self.handler, self.conf)
end


return _M
