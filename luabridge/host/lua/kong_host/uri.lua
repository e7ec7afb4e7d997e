--- Normalisation (RFC 3986 section 6) and escaping of paths, as Kong does it.


local byte = string.byte
local char = string.char
local concat = table.concat
local find = string.find
local fmt = string.format
local gmatch = string.gmatch
local gsub = string.gsub
local tonumber = tonumber
local upper = string.upper


-- Bytes that mean something in a URI stay encoded: decoding them would change
-- the meaning.
local RESERVED = "!*'();:@&=+$,/?%#[]"


local NOT_ALLOWED = "[^!#$&'()*+,/:;=?@%[%]%w%-_.~%%]"


local DECODED = {}
for code = 0, 255 do
  local c = char(code)
  if not find(RESERVED, c, 1, true) then
    DECODED[code] = c
  end
end


local function decode_one(hex)
  return DECODED[tonumber(hex, 16)] or "%" .. upper(hex)
end


local function encode_one(c)
  return fmt("%%%02X", byte(c))
end


local function resolve_segments(path)
  local out, n, directory = {}, 0, false

  for segment in gmatch(path, "/([^/]*)") do
    directory = segment == "" or segment == "." or segment == ".."
    if segment == ".." then
      out[n] = nil
      n = n > 0 and n - 1 or 0
    elseif not directory then
      n = n + 1
      out[n] = segment
    end
  end

  if n == 0 then
    return "/"
  end

  return "/" .. concat(out, "/", 1, n) .. (directory and "/" or "")
end


local _M = {}


--- Decodes what needs no encoding, resolves `.` and `..`, merges slashes.
-- @tparam string path
-- @treturn string
function _M.normalize(path)
  if find(path, "%", 1, true) then
    path = gsub(path, "%%(%x%x)", decode_one)
  end

  if byte(path) == 47 --[[ / ]]
     and (find(path, "/.", 1, true) or find(path, "//", 1, true))
  then
    return resolve_segments(path)
  end

  return path
end


--- Encodes every byte that may not stand in a URI.
-- @tparam string path
-- @treturn string
function _M.escape(path)
  if find(path, NOT_ALLOWED) then
    return (gsub(path, NOT_ALLOWED, encode_one))
  end

  return path
end


return _M
