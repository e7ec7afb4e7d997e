--- The Lua side of the conformance suite: makes the calls that a request lists
-- in x-conform-calls, or a file for the next handshake, as any Lua plugin
-- would, and appends what the last one gave to the file that the config names.


local cjson = require "cjson"


-- what is no function in Lua, or has another form there
local FUNCTIONS = {
  ["kong.ctx.shared.get"] = function(k) return kong.ctx.shared[k] end,
  ["kong.ctx.shared.set"] = function(k, v) kong.ctx.shared[k] = v end,
  ["kong.ctx.plugin.get"] = function(k) return kong.ctx.plugin[k] end,
  ["kong.ctx.plugin.set"] = function(k, v) kong.ctx.plugin[k] = v end,
  ["kong.nginx.get_ctx"] = function(k) return ngx.ctx[k] end,
  ["kong.nginx.set_ctx"] = function(k, v) ngx.ctx[k] = v end,
  ["kong.nginx.get_var"] = function(k) return ngx.var[k] end,
  ["kong.nginx.req_start_time"] = function() return ngx.req.start_time() end,
  ["kong.nginx.get_tls1_version_str"] = function()
    return (require("ngx.ssl").get_tls1_version_str())
  end,
  ["kong.request.get_query_arg"] = function(k)
    local v = kong.request.get_query_arg(k)
    return v == true and "" or v
  end,
  -- in a buffered response Kong's table cannot be walked
  ["kong.service.response.get_headers"] = function(max)
    local all = kong.service.response.get_headers(max)
    local headers = {}
    for name in pairs(ngx.ctx.buffered_headers) do
      headers[name:lower()] = all[name]
    end
    return headers
  end,
}


local function find(name)
  local at = _G
  for word in name:gmatch("[^.]+") do
    at = at[word]
  end
  return at
end


local function strings(value)
  if type(value) == "boolean" then
    return setmetatable({}, cjson.array_mt)
  elseif type(value) ~= "table" then
    return { tostring(value) }
  end
  local list = {}
  for i, item in ipairs(value) do
    list[i] = item == true and "" or tostring(item)
  end
  return list
end


-- what a result is in Go
local FORMS = {
  multimap = function(t)
    local headers = {}
    for name, value in pairs(t) do
      headers[name] = strings(value)
    end
    return headers
  end,
  captures = function(captures)
    local unnamed = {}
    for i, value in ipairs(captures.unnamed) do
      unnamed[i] = value
    end
    return { unnamed, captures.named }
  end,
  parsed = function(body, _, mimetype)
    return { body, mimetype or cjson.null }
  end,
}


local function plain(value)
  if value == cjson.null then
    return nil
  end
  return value
end


local function make(call)
  local args = {}
  for i = 1, call.n do
    args[i] = plain(call.args[i])
  end
  return (FUNCTIONS[call.name] or find(call.name))(unpack(args, 1, call.n))
end


local function write(conf, answer)
  local file = assert(io.open(conf.out, "a"))
  file:write(cjson.encode(answer), "\n")
  file:close()
end


local function run(conf, phase, header)
  if header("x-conform-side") ~= "lua"
     or header("x-conform-phase") ~= phase
  then
    return
  end

  local todo = cjson.decode(ngx.decode_base64(header("x-conform-calls")))
  if todo.ends then -- the last call does not come back
    for _, call in ipairs(todo.calls) do
      make(call)
    end
  end

  local answer = { id = header("x-conform-id") }
  local ok, value, err, more
  for _, call in ipairs(todo.calls) do
    ok, value, err, more = pcall(make, call)
    if not ok then
      break
    end
  end
  if not ok then
    answer.raised = tostring(value)
  elseif value == nil and err ~= nil then
    answer.error = tostring(err)
  elseif value ~= nil then
    local form = FORMS[todo.form]
    if form then
      value = form(value, err, more)
    end
    if todo.pick ~= "" then
      value = value[todo.pick]
    end
    answer.result = value
  end
  write(conf, answer)
end


local Conform = { PRIORITY = 9, VERSION = "0.1" }


function Conform.certificate(_, conf)
  local file = assert(io.open(conf.handshake))
  local asked = cjson.decode(file:read("*a"))
  file:close()
  run(conf, "certificate", function(name) return asked[name] end)
end


for _, phase in ipairs({ "rewrite", "access", "response", "log" }) do
  Conform[phase] = function(_, conf)
    run(conf, phase, kong.request.get_header)
  end
end


return Conform
