--- The PDK methods that the plugin server may call, by number.
--
-- Purpose: finds the Lua function of each row of the method table, reads its
-- arguments, runs it and writes its result.
--
-- Called by: event.lua, in the request's own coroutine. Phases: what the
-- method allows.
--
-- @module kongring.pdk


local cjson = require "cjson.safe"
local layout = require "kongring.layout"
local methods = require "kongring.methods"


local pairs = pairs
local pcall = pcall
local tostring = tostring
local type = type
local unpack = unpack
local STATUS_OK = layout.STATUS_OK


-- kinds of the pair that a body comes as; the Go package bridge has the same
local BODY_CONTENT, BODY_FILE, BODY_ERROR = 0, 1, 2


-- what Kong has no function for, or one with a result that has no message
local ADAPTED = {
  ["kong.ctx.shared.get"] = function(k)
    return kong.ctx.shared[k]
  end,
  ["kong.ctx.shared.set"] = function(k, v)
    kong.ctx.shared[k] = v
  end,
  -- an argument without a value is true in Lua, which is no string
  ["kong.request.get_query_arg"] = function(k)
    local v = kong.request.get_query_arg(k)
    return v == true and "" or v
  end,
  ["kong.nginx.get_var"] = function(k)
    return ngx.var[k]
  end,
  ["kong.nginx.get_ctx"] = function(k)
    return ngx.ctx[k]
  end,
  ["kong.nginx.get_tls1_version_str"] = function()
    return require("ngx.ssl").get_tls1_version_str()
  end,
  ["kong.nginx.req_start_time"] = function()
    return ngx.req.start_time()
  end,
  ["kong.log.serialize"] = function()
    return cjson.encode(kong.log.serialize())
  end,
}


-- the function with a dotted name, nil when Kong has none
local function find(name)
  if ADAPTED[name] then
    return ADAPTED[name]
  end
  local at = _G
  for word in name:gmatch("[^.]+") do
    if type(at) ~= "table" then
      return nil
    end
    at = at[word]
  end
  return at
end


-- names to lists of strings
local function put_multimap(b, t)
  local count = 0
  for _ in pairs(t) do
    count = count + 1
  end
  b:put_map(count)
  for name, value in pairs(t) do
    b:put_str(tostring(name))
    if type(value) == "table" then
      b:put_array(#value)
      for i = 1, #value do
        b:put_str(value[i] == true and "" or tostring(value[i]))
      end
    elseif type(value) == "boolean" then
      b:put_array(0) -- an argument without a value
    else
      b:put_array(1)
      b:put_str(tostring(value))
    end
  end
  return true
end


-- How each kind of result is written: a function of the buffer and what the
-- method returned, which gives true, or nil and what is wrong.
local RESULTS = {
  none = function(b)
    b:put_nil()
    return true
  end,

  value = function(b, v)
    return b:put_value(v)
  end,

  multimap = function(b, t)
    if type(t) ~= "table" then
      b:put_map(0)
      return true
    end
    return put_multimap(b, t)
  end,

  body = function(b, body, err)
    b:put_array(2)
    local file = not body and ngx.req.get_body_file()
    if body then
      b:put_number(BODY_CONTENT)
      b:put_bin(body)
    elseif file then
      b:put_number(BODY_FILE)
      b:put_str(file)
    else
      b:put_number(BODY_ERROR)
      b:put_str(tostring(err or "no body"))
    end
    return true
  end,

  captures = function(b, captures)
    if type(captures) ~= "table" then
      b:put_nil()
      return true
    end
    local unnamed, named = captures.unnamed or {}, captures.named or {}
    b:put_array(2)
    b:put_array(#unnamed)
    for i = 1, #unnamed do
      b:put_str(unnamed[i] and tostring(unnamed[i]) or "")
    end
    local count = 0
    for _ in pairs(named) do
      count = count + 1
    end
    b:put_map(count)
    for k, v in pairs(named) do
      b:put_str(tostring(k))
      b:put_str(v and tostring(v) or "")
    end
    return true
  end,
}


local _M = {}


-- rows with their functions, looked up when first called
local resolved = {}


local function resolve(number)
  local row = methods[number]
  if not row then
    return nil, "method number " .. number .. " is not in the bridge's table"
  end
  local f = find(row.name)
  if not f then
    return nil, row.name .. ": this Kong has no such method"
  end
  row = { name = row.name, call = f, put = RESULTS[row.result] }
  resolved[number] = row
  return row
end


--- A method by its number.
-- @phases all
-- @tparam number number
-- @treturn table|nil its `name`, the function `call`, and `put`
-- @treturn string|nil why there is none
function _M.method(number)
  local row = resolved[number]
  if row then
    return row
  end
  return resolve(number)
end


-- the arguments of the call that is being made; no call is made within another
-- one before its arguments were taken from here
local args = {}


--- Reads the arguments of a call and makes it.
-- @phases what the method allows
-- @tparam table row as `method` gave it
-- @tparam table reader set to the body of the message
-- @treturn boolean whether the method returned
-- @return what it returned, up to two values, or what it raised
function _M.run(row, reader)
  local n, err = reader:read_args(args)
  if not n then
    return false, "failed to read the arguments: " .. err
  end
  if n == 0 then
    return pcall(row.call)
  elseif n == 1 then
    return pcall(row.call, args[1])
  elseif n == 2 then
    return pcall(row.call, args[1], args[2])
  end
  return pcall(row.call, unpack(args, 1, n))
end


--- Writes a result behind the head of a message.
-- @phases all
-- @tparam table row
-- @tparam table b the buffer
-- @return what `run` gave
-- @treturn number|nil `layout.STATUS_OK`, or nil when the result has no place
-- in a message
-- @treturn string|nil why not
function _M.put(row, b, first, second)
  local ok, err = row.put(b, first, second)
  if ok then
    return STATUS_OK
  end
  return nil, row.name .. ": " .. err
end


return _M
