--- Runs Lua code that the test sends along, in each phase, and keeps what it
-- returned in the dictionary `results` for the test to fetch.
--
-- The code for phase P is in the header X-Do-P, in base64. If X-Raw is there
-- too, nothing guards it: an error is the handler's own.


local cjson = require "cjson"


local PHASES = {
  "rewrite", "access", "response", "header_filter", "body_filter", "log",
}


local function pack(...)
  return select("#", ...), { ... }
end


local function plain(value)
  if value == nil then
    return cjson.null
  end
  if type(value) == "function" then
    return "function"
  end
  return value
end


local function keep(id, phase, ok, ...)
  local n, values = pack(...)
  for i = 1, n do
    values[i] = plain(values[i])
  end

  local result = ok and { values = setmetatable(values, cjson.array_mt) }
                 or { err = tostring(values[1]) }
  ngx.shared.results:set(id .. ":" .. phase, cjson.encode(result))
end


local function run(phase, conf)
  local headers = ngx.req.get_headers(0)
  local id = headers["X-Probe"]
  local code = headers["X-Do-" .. phase:gsub("_", "-")]
  if id and code then
    local chunk = assert(loadstring(ngx.decode_base64(code), "=probe"))
    if headers["X-Raw"] then
      chunk(conf)
    else
      keep(id, phase, pcall(chunk, conf))
    end
  end

  if id and phase == "log" then
    ngx.shared.results:set(id .. ":done", "{}")
  end
end


local Probe = { PRIORITY = 100, VERSION = "1.2.3" }


for _, phase in ipairs(PHASES) do
  if phase ~= "response" then
    Probe[phase] = function(_, conf)
      run(phase, conf)
    end
  end
end


function Probe.init_worker()
  keep("worker", "init_worker", pcall(kong.client.get_ip))
  keep("worker", "init_worker_log", pcall(kong.log.notice, "worker starts"))
end


function Probe:configure(confs)
  self.confs = confs
  keep("worker", "configure", true, confs)
end


return Probe
