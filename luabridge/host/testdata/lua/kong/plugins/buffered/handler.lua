--- A handler with a response phase, so one that needs buffered proxying.


local Buffered = { PRIORITY = 5, VERSION = "0.1.0" }


function Buffered:response(conf) -- luacheck: ignore self
  local response = kong.service.response
  local walked = 0
  for _ in pairs(response.get_headers()) do
    walked = walked + 1
  end

  kong.response.set_header("X-Seen-Status", response.get_status())
  kong.response.set_header("X-Seen-Length", #response.get_raw_body())
  kong.response.set_header("X-Seen-Header",
                           response.get_header("x_service") or "none")
  kong.response.set_header("X-Walked", walked)

  if conf.fail then
    error("buffered fails")
  elseif conf.status then
    kong.response.exit(conf.status, "replaced")
  end
end


return Buffered
