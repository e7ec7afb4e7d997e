--- Stands in for a Kong whose config changes without a reload: runs the plugin
-- probe, once or twice, with the config of the version that the request names,
-- for the entity that it names.
-- A version that is not the last one makes a new config table, as Kong does;
-- requests that have the old one go on with it. Version "none" is an entity
-- that was deleted.


local probe = require "kong.plugins.probe.handler"


local current = {} -- by entity: version and config


local function config(entity, version)
  local now = current[entity]
  if not now or now.version ~= version then
    now = {
      version = version,
      conf = {
        ["do"] = "say:" .. version,
        __plugin_id = entity,
        __key__ = "key of " .. entity,
        __seq__ = ngx.shared.kong:incr("plugins_iterator:__seq__", 1, 0),
      },
    }
    current[entity] = now
  end
  return now.conf
end


return {
  PRIORITY = 1,
  VERSION = "0.1",

  access = function()
    local version = kong.request.get_header("x-version")
    local entity = kong.request.get_header("x-entity") or "entity"
    if version == "none" then
      current[entity] = nil
      return kong.response.exit(200, "deleted")
    end
    local conf = config(entity, version)
    if kong.request.get_header("x-do") then -- first that, then what it says
      probe:access(conf)
      ngx.req.clear_header("x-do")
    end
    return probe:access(conf)
  end,
}
