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
local methods = require "kongring.methods"


local error = error
local ipairs = ipairs
local lower = string.lower
local pairs = pairs
local tostring = tostring
local type = type
local unpack = unpack


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
  ["kong.ctx.plugin.get"] = function(k)
    return kong.ctx.plugin[k]
  end,
  ["kong.ctx.plugin.set"] = function(k, v)
    kong.ctx.plugin[k] = v
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
  ["kong.nginx.set_ctx"] = function(k, v)
    ngx.ctx[k] = v
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
  -- true behind the error: who asks Kong to read the file does not do it itself
  ["kong.request.get_raw_body"] = function(max_file_size)
    local body, err = kong.request.get_raw_body(max_file_size)
    return body, err, max_file_size ~= nil
  end,
}


-- The headers of the service's response as a table that can be walked, which
-- Kong's is not while the response is buffered, and where it is, other headers
-- are in it too.
ADAPTED["kong.service.response.get_headers"] = function(max)
  local all = kong.service.response.get_headers(max)
  if type(all) ~= "table" then
    return all
  end
  local headers, count = {}, 0
  for name in pairs(ngx.ctx.buffered_headers or ngx.resp.get_headers(max)) do
    if count == (max or 100) then
      break
    end
    local value = all[name]
    if value ~= nil then
      headers[lower(name)] = value
      count = count + 1
    end
  end
  return headers
end


local write_line -- writes a line of a plugin, see `lines_by`


-- kong.log belongs to the plugin that runs now, so it is looked up at each line
for _, level in ipairs({ "emerg", "alert", "crit", "err", "warn", "notice",
                         "info", "debug" }) do
  ADAPTED["kong.log." .. level] = function(...)
    write_line(kong.log, level, ...)
  end
end


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


local function count_keys(t)
  local count = 0
  for _ in pairs(t) do
    count = count + 1
  end
  return count
end


-- names to lists of strings
local function put_multimap(b, t)
  b:put_map(count_keys(t))
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
    local ok, err = b:put_value(v)
    return ok, err
  end,

  multimap = function(b, t)
    if type(t) ~= "table" then
      return nil, "a " .. type(t) .. ", wanted a table"
    end
    return put_multimap(b, t)
  end,

  checked = function(b, v, err)
    if v == nil and err ~= nil then
      return nil, tostring(err)
    end
    return b:put_value(v)
  end,

  parsed = function(b, body, err, mimetype)
    if body == nil then
      return nil, tostring(err or "no body")
    end
    b:put_array(2)
    local ok
    ok, err = b:put_value(body)
    if ok then
      return b:put_value(mimetype)
    end
    return nil, err
  end,

  body = function(b, body, err, final)
    b:put_array(2)
    local file = not body and not final and ngx.req.get_body_file()
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
    if captures == nil then
      b:put_nil()
      return true
    end
    if type(captures) ~= "table" then
      return nil, "a " .. type(captures) .. ", wanted a table"
    end
    local unnamed, named = captures.unnamed or {}, captures.named or {}
    b:put_array(2)
    b:put_array(#unnamed)
    for i = 1, #unnamed do
      b:put_str(unnamed[i] and tostring(unnamed[i]) or "")
    end
    b:put_map(count_keys(named))
    for k, v in pairs(named) do
      b:put_str(tostring(k))
      b:put_str(v and tostring(v) or "")
    end
    return true
  end,
}


local _M = {
  --- The row of method 0, which does nothing: its answer says that the writes
  -- were applied.
  NOTHING = { name = "nothing", put = RESULTS.none },
}


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


--- Says who writes the plugins' lines: Kong names the file of kong.log's caller
-- in each line.
-- @phases init
-- @tparam function write of a plugin's kong.log, the name of the level, and the
-- line's parts
function _M.lines_by(write)
  write_line = write
end


--- Writes a line of a plugin.
-- @phases all
-- @tparam table log the plugin's kong.log
-- @tparam string level its name in there
-- @param ... the line's parts
function _M.write_line(log, level, ...)
  write_line(log, level, ...)
end


--- The Lua function of a method.
-- @phases all
-- @tparam string name
-- @treturn function|nil
_M.find = find


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


-- arguments that a call may have; unpack has a limit as well
local MAX_ARGS = 250


-- reads one argument, or raises what is wrong with it
local function read(reader)
  local ok, v = reader:read_value()
  if not ok then
    error(v, 0)
  end
  return v
end


-- reads n arguments, at index 2 and after; the first is what a request that is
-- over left behind
local function read_all(reader, n, saved)
  if n > MAX_ARGS then
    error(n .. " arguments, the limit is " .. MAX_ARGS, 0)
  end
  local args = { saved }
  for i = 2, n + 1 do
    args[i] = read(reader)
  end
  return args
end


-- reads how many arguments there are
local function read_count(reader)
  local n, wrong = reader:read_array()
  if not n then
    error(wrong, 0)
  end
  return n
end


--- Reads a call that is to be made after its message is gone.
-- @phases all
-- @tparam table row as `method` gave it
-- @tparam table reader at the arguments
-- @tparam table|nil saved as for `call`
-- @treturn function that makes the call and raises what it raises. Raises what
-- is wrong with the arguments.
function _M.read_call(row, reader, saved)
  local n = read_count(reader)
  local args = read_all(reader, n, saved)
  return function()
    return row.call(unpack(args, saved and 1 or 2, n + 1))
  end
end


--- Reads the arguments of a call and makes it.
-- @phases what the method allows
-- @tparam table row as `method` gave it
-- @tparam table reader at the arguments
-- @tparam table|nil saved what a request that is over left behind, the method's
-- first argument then
-- @return what the method returns, for the row's `put`; raises what it raises,
-- and what is wrong with the arguments
function _M.call(row, reader, saved)
  local n = read_count(reader)
  local f = row.call
  local v, err, more -- no method has more results
  if saved or n > 3 then
    v, err, more = f(unpack(read_all(reader, n, saved), saved and 1 or 2,
                            n + 1))
  elseif n == 0 then
    v, err, more = f()
  else
    local first = read(reader)
    if n == 1 then
      v, err, more = f(first)
    else
      local second = read(reader)
      if n == 2 then
        v, err, more = f(first, second)
      else
        v, err, more = f(first, second, read(reader))
      end
    end
  end
  return v, err, more
end


return _M
