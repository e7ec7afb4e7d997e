--- `kong.request.get_raw_body`.
-- @module kong.request


local phase_check = require "kong_host.phase_check"


local check = phase_check.check
local BODY = phase_check.BODY
local concat = table.concat
local fmt = string.format
local io = io
local req = ngx.req
local sleep = ngx.sleep


local CHUNK = 1024 * 1024


local function read_file(path, max)
  local file, err = io.open(path, "rb")
  if not file then
    return nil, "failed to open cached request body: " .. err
  end

  local size = file:seek("end") or 0
  if max > 0 and size > max then
    file:close()
    return nil, fmt("request body file too big: %d > %d", size, max)
  end
  file:seek("set")

  local chunks = {}
  repeat
    local chunk
    chunk, err = file:read(CHUNK)
    chunks[#chunks + 1] = chunk
    sleep(0) -- the read blocks: let other requests run in between
  until not chunk
  file:close()

  if err then
    return nil, "failed to read cached request body: " .. err
  end

  return concat(chunks)
end


local _M = {}


--- The request body. nginx writes one that is larger than its buffer
-- (`client_body_buffer_size`) to a file.
-- @function kong.request.get_raw_body
-- @phases rewrite, access, response
-- @tparam[opt] number max_allowed_file_size Kong 3.9: read such a file up to
-- this size, 0 for any size; absent or negative, never
-- @treturn string|nil "" if there is no body
-- @treturn nil|string error
function _M.get_raw_body(max_allowed_file_size)
  check(BODY, "kong.request.get_raw_body")

  req.read_body()

  local body = req.get_body_data()
  if body then
    return body
  end

  local path = req.get_body_file()
  if not path then
    return ""
  end

  if not max_allowed_file_size or max_allowed_file_size < 0 then
    return nil, "request body did not fit into client body buffer, " ..
                "consider raising 'client_body_buffer_size'"
  end

  return read_file(path, max_allowed_file_size)
end


return _M
