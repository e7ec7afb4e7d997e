--- Finds the route of a request: by path prefix, host and method.
--
-- The longest matching prefix wins; of equal ones the route with more
-- conditions, then the one that stands first in the file. Paths are compared
-- after normalisation. Kong's regular expressions, wildcard hosts, headers
-- and SNIs are not known.


local ipairs = ipairs
local lower = string.lower
local sort = table.sort
local sub = string.sub


local function set(values, convert)
  if not values or #values == 0 then
    return nil
  end

  local members = {}
  for _, value in ipairs(values) do
    members[convert and convert(value) or value] = true
  end
  return members
end


local function goes_first(a, b)
  if a.size ~= b.size then
    return a.size > b.size
  end

  if a.conditions ~= b.conditions then
    return a.conditions > b.conditions
  end

  return a.position < b.position
end


local _M = {}


--- @tparam table routes from `kong_host.config`
-- @treturn table candidates for `match`
function _M.new(routes)
  local candidates = {}

  for _, route in ipairs(routes) do
    local hosts = set(route.entity.hosts, lower)
    local methods = set(route.entity.methods)
    for _, path in ipairs(route.entity.paths) do
      candidates[#candidates + 1] = {
        route = route,
        path = path,
        size = #path,
        hosts = hosts,
        methods = methods,
        conditions = (hosts and 1 or 0) + (methods and 1 or 0),
        position = #candidates,
      }
    end
  end

  sort(candidates, goes_first)
  return candidates
end


--- @tparam table candidates
-- @tparam string path normalised
-- @tparam string host in lower case
-- @tparam string method
-- @treturn table|nil the route
-- @treturn nil|string the prefix of the path that matched
function _M.match(candidates, path, host, method)
  for i = 1, #candidates do
    local candidate = candidates[i]
    if sub(path, 1, candidate.size) == candidate.path
       and (not candidate.hosts or candidate.hosts[host])
       and (not candidate.methods or candidate.methods[method])
    then
      return candidate.route, candidate.path
    end
  end
end


return _M
