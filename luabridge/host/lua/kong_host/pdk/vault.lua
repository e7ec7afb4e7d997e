--- `kong.vault`: secrets by reference, as in `{vault://env/my-secret/key}`.
--
-- The only vault of this host is `env`: the environment of nginx's master
-- process at its start, with names in upper case and `_` for `-`. A secret with
-- a key is a JSON object.
-- @module kong.vault


local ffi = require "ffi"
local json = require "kong_host.json"


local error = error
local ffi_string = ffi.string
local find = string.find
local fmt = string.format
local gmatch = string.gmatch
local gsub = string.gsub
local match = string.match
local pcall = pcall
local tonumber = tonumber
local tostring = tostring
local type = type
local unescape = ngx.unescape_uri
local upper = string.upper


ffi.cdef [[
extern char **kong_host_environ __asm__("environ");
]]


-- nginx takes from its workers all variables that no `env` directive names
local environment = {}
do
  local all = ffi.C.kong_host_environ
  local i = 0
  while all ~= nil and all[i] ~= nil do
    local name, value = match(ffi_string(all[i]), "^([^=]+)=(.*)$")
    if name then
      environment[name] = value
    end
    i = i + 1
  end
end


local _M = {}


--- @function kong.vault.is_reference
-- @phases all
-- @param reference
-- @treturn boolean
function _M.is_reference(reference)
  return type(reference) == "string"
         and find(reference, "^{vault://.+}$") ~= nil
end


--- @function kong.vault.parse_reference
-- @phases all
-- @tparam string reference
-- @treturn table|nil `{ scheme, name, resource, key, config, version }`
-- @treturn nil|string error
function _M.parse_reference(reference)
  if not _M.is_reference(reference) then
    return nil, fmt("not a reference [%s]", tostring(reference))
  end

  local rest, version = match(reference, "^{vault://([^#]+)#?(%d*)}$")
  if not rest then
    return nil, fmt("reference is not url encoded [%s]", reference)
  end
  local path, query = match(rest, "^([^?]*)%??(.*)$")
  local name, resource = match(path, "^([^/]+)/(.+)$")
  if not name then
    return nil, fmt("reference does not specify a resource [%s]", reference)
  end
  local secret, key = match(resource, "^(.-)/([^/]+)$")

  local config = {}
  for arg, value in gmatch(query, "([^=&]+)=([^&]*)") do
    config[unescape(arg)] = unescape(value)
  end

  return {
    scheme = "vault",
    name = name,
    resource = unescape(secret or resource),
    key = key and unescape(key),
    config = config,
    version = tonumber(version),
  }
end


--- @function kong.vault.get
-- @phases all
-- @tparam string reference
-- @treturn string|nil the secret
-- @treturn nil|string error
function _M.get(reference)
  if type(reference) ~= "string" then
    error("reference must be a string", 2)
  end

  local parsed, err = _M.parse_reference(reference)
  if not parsed then
    return nil, err
  elseif parsed.name ~= "env" then
    return nil, fmt("could not find vault (%s) [%s]", parsed.name, reference)
  end

  local name = (parsed.config.prefix or "") .. parsed.resource
  local value = environment[(gsub(upper(name), "-", "_"))]
  if value and parsed.key then
    local ok, values = pcall(json.decode, value)
    value = ok and type(values) == "table" and values[parsed.key] or nil
  end
  if value == nil then
    return nil, fmt("could not get value from vault (env) [%s]", reference)
  end
  return tostring(value)
end


return _M
