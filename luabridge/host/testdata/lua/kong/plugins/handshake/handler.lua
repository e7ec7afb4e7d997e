--- Runs the Lua code that stands in the dictionary `results` in a handshake,
-- and keeps there what it returned. An error is the handler's own.


local cjson = require "cjson"


local Handshake = { PRIORITY = 100, VERSION = "1" }


function Handshake.certificate()
  local results = ngx.shared.results
  local code = results:get("code")
  local values = { assert(loadstring(code, "=handshake"))() }
  results:set("certificate", cjson.encode(setmetatable(values,
                                                       cjson.array_mt)))
end


return Handshake
