--- The body of an error response, in the form the client asks for.


local json = require "kong_host.json"


local find = string.find
local fmt = string.format
local gmatch = string.gmatch
local gsub = string.gsub
local match = string.match
local ngx = ngx
local pairs = pairs
local tonumber = tonumber
local var = ngx.var


local MESSAGES = {
  [400] = "Bad request",
  [401] = "Unauthorized",
  [403] = "Forbidden",
  [404] = "Not found",
  [405] = "Method not allowed",
  [408] = "Request timeout",
  [411] = "Length required",
  [412] = "Precondition failed",
  [413] = "Payload too large",
  [414] = "URI too long",
  [415] = "Unsupported media type",
  [417] = "Expectation failed",
  [429] = "Too many requests",
  [500] = "An unexpected error occurred",
  [501] = "Not implemented",
  [502] = "An invalid response was received from the upstream server",
  [503] = "The upstream server is currently unavailable",
  [504] = "The upstream server is timing out",
}


local ENTITIES = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;" }


local function escape_markup(text)
  return (gsub(text, "[&<>]", ENTITIES))
end


local WRITERS = {
  json = function(message, id)
    return fmt('{\n  "message":%s,\n  "request_id":"%s"\n}',
               json.encode(message), id)
  end,
  html = function(message, id)
    return fmt("<!doctype html>\n<html>\n  <head><title>Error</title></head>" ..
               "\n  <body>\n    <p>%s</p>\n    <p>request_id: %s</p>\n" ..
               "  </body>\n</html>\n", escape_markup(message), id)
  end,
  xml = function(message, id)
    return fmt('<?xml version="1.0" encoding="UTF-8"?>\n<error>\n' ..
               "  <message>%s</message>\n  <requestid>%s</requestid>\n" ..
               "</error>", escape_markup(message), id)
  end,
  plain = function(message, id)
    return fmt("%s\nrequest_id: %s\n", message, id)
  end,
}


local JSON_TYPE = "application/json; charset=utf-8"


local TYPES = {
  ["text/html"] = "text/html; charset=utf-8",
  ["text/plain"] = "text/plain; charset=utf-8",
  ["text/*"] = "text/plain; charset=utf-8",
  ["application/xml"] = "application/xml; charset=utf-8",
  ["application/json"] = JSON_TYPE,
}


local function writer_of(content_type)
  for name, writer in pairs(WRITERS) do
    if find(content_type, "/" .. name, 1, true) then
      return writer
    end
  end
  return WRITERS.json
end


-- The type with the highest quality; the first of equal ones; else JSON.
local function negotiate(accept)
  local best, best_quality = JSON_TYPE, 0
  for item in gmatch(accept or "", "[^,]+") do
    local media = match(item, "^%s*([^%s;]+)")
    local quality = tonumber(match(item, ";%s*q%s*=%s*([%d.]+)") or 1) or 0
    if quality > best_quality then
      best_quality = quality
      best = TYPES[media] or JSON_TYPE
    end
  end
  return best
end


local _M = {}


--- @tparam number status
-- @tparam[opt] string message
-- @tparam[opt] string content_type absent, what the client accepts
-- @treturn string body
-- @treturn string content type
function _M.new(status, message, content_type)
  content_type = content_type or negotiate(var.http_accept)
  message = message or MESSAGES[status]
            or fmt("The upstream server responded with %d", status)
  return writer_of(content_type)(message, var.request_id or ""), content_type
end


return _M
