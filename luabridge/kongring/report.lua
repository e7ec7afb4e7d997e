--- Lines of the bridge in nginx's error log about events.
--
-- Purpose: each names the plugin, the instance and the phase. nginx cuts a line
-- after 2 KiB, so a long text, as that of a panic with its stack, has several.
-- Where nginx does not add the request's id by itself, since the request is
-- over, the line has it, written as Kong writes it.
--
-- Called by: handler.lua, log_phase.lua, saved.lua, event.lua. Phases: all,
-- where said.
--
-- @module kongring.report


local find = string.find
local ngx = ngx
local pcall = pcall
local sub = string.sub
local type = type


-- bytes of a text in one line: what nginx adds before and behind has room
local MAX_TEXT = 1400


local _M = {}


--- Names an instance: as its administrator named it, else by its entity.
-- @phases all
-- @tparam table conf the config as Kong gave it
-- @treturn string
function _M.instance(conf)
  local name = conf.plugin_instance_name
  if type(name) ~= "string" then
    name = conf.__plugin_id or conf.__key__ or "unknown"
  end
  return name
end


local function read_request_id()
  return ngx.ctx.request_id or ngx.var.kong_request_id or ngx.var.request_id
end


--- The id of the request, as Kong's log has it.
-- @phases those with a request; nil in others
-- @treturn string|nil
function _M.request_id()
  local ok, id = pcall(read_request_id)
  return ok and id or nil
end


--- What a line about a request that is over ends with.
-- @phases all
-- @tparam string|nil id of the request
-- @treturn string
function _M.suffix(id)
  return id and ', request_id: "' .. id .. '"' or ""
end


-- where the part of a text that begins at i ends: with a whole line if it can
local function part_end(text, i)
  local last = i + MAX_TEXT - 1
  if last >= #text then
    return #text
  end
  local stop, at = nil, find(text, "\n", i + 1, true)
  while at and at <= last do
    stop, at = at, find(text, "\n", at + 1, true)
  end
  return stop or last
end


--- Writes a text in as many lines as it takes, each with what it is about.
-- @phases all
-- @tparam function write takes a line
-- @tparam string about stands in front
-- @tparam string text
-- @tparam string behind stands at the end
function _M.write(write, about, text, behind)
  local i = 1
  repeat
    local stop = part_end(text, i)
    write(about .. (i > 1 and "(goes on) " or "") .. sub(text, i, stop) ..
          behind)
    i = stop + 1
  until i > #text
end


return _M
