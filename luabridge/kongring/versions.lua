--- What to do about a plugin server of another version.
--
-- Purpose: bridge and server come from the same kongring, or refuse each
-- other. The first words of a welcome are the same in all versions: by them the
-- log says which side is older, and what brings the two together. The rest of
-- such a welcome is not looked at. The Go package shm says the same.
--
-- Called by: attach.lua. Phases: all.
--
-- @module kongring.versions


local layout = require "kongring.layout"


local fmt = string.format


local _M = {
  --- Bytes of a welcome that `fault` looks at.
  NEEDED = 12,
}


--- Tells what is wrong with the first words of a welcome.
-- @phases all
-- @tparam cdata w a `kongring_welcome`
-- @treturn string|nil what is wrong; nil when nothing is
function _M.fault(w)
  if w.magic ~= layout.MAGIC then
    return fmt("the server's answer starts with 0x%08x: it is no kongring " ..
               "server", w.magic)
  end
  if w.version == layout.VERSION and w.app == layout.APP then
    return nil
  end
  local bridge = fmt("%d.%d", layout.VERSION, layout.APP)
  local server = fmt("%d.%d", w.version, w.app)
  local older = layout.VERSION < w.version or
                layout.VERSION == w.version and layout.APP < w.app
  local remedy = older and
    'the bridge is older: run "make install" of the kongring that the ' ..
    "plugin is built with (" .. server .. "), and reload Kong" or
    "the plugin is older: build it with the kongring that the bridge is " ..
    "from (" .. bridge .. "), and restart it"
  return fmt("versions differ: bridge %s, server %s: %s", bridge, server,
             remedy)
end


return _M
