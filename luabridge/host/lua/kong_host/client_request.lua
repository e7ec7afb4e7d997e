--- The client's request as nginx has it, without phase checks.


local uri = require "kong_host.uri"


local find = string.find
local get_headers = ngx.req.get_headers
local gsub = string.gsub
local lower = string.lower
local normalize = uri.normalize
local sub = string.sub
local type = type
local var = ngx.var


-- Header name as written by a plugin -> nginx variable. Bounded: names may
-- come from anywhere.
local MAX_VARIABLES = 1000
local variables, variable_count = {}, 0


local function variable_of(name)
  local variable = variables[name]
  if not variable then
    if variable_count == MAX_VARIABLES then
      variables, variable_count = {}, 0
    end
    variable = "http_" .. lower((gsub(name, "-", "_")))
    variables[name] = variable
    variable_count = variable_count + 1
  end
  return variable
end


local _M = {}


--- @tparam string name in any case, with dashes or underscores
-- @treturn string|nil the first value
function _M.header(name)
  local value = var[variable_of(name)]
  if not value or not find(value, ", ", 1, true) then
    return value
  end

  -- nginx joins headers that are repeated.
  value = get_headers()[name]
  return type(value) == "table" and value[1] or value
end


--- @treturn string the path as sent, without query
function _M.raw_path()
  local request_uri = var.request_uri or ""
  local mark = find(request_uri, "?", 2, true)
  return mark and sub(request_uri, 1, mark - 1) or request_uri
end


--- @treturn string the path normalised, without query
function _M.path()
  return normalize(_M.raw_path())
end


return _M
