--- Reads the golden frames of the protocol, server/wire/testdata/golden: what
-- stands behind "#" explains, the rest is bytes in hex, and "00*12" stands for
-- twelve bytes of 0. The Go package server/wire/golden reads the same.


local FOLDER = "../server/wire/testdata/golden/"


local _M = {}


local function byte(word)
  local digits, times = word:match("^(%x%x)%*(%d+)$")
  digits = digits or word:match("^%x%x$")
  assert(digits, word .. " is no byte")
  return string.char(tonumber(digits, 16)):rep(tonumber(times or 1))
end


--- The bytes of a file.
function _M.read(name)
  local parts = {}
  for line in io.lines(FOLDER .. name .. ".hex") do
    for word in line:gsub("#.*", ""):gmatch("%S+") do
      parts[#parts + 1] = byte(word)
    end
  end
  return table.concat(parts)
end


--- Bytes in hex, for messages.
function _M.hex(text)
  return (text:gsub(".", function(c)
    return ("%02x "):format(c:byte())
  end))
end


--- Raises unless bytes are those of a file.
function _M.same(name, got)
  local want = _M.read(name)
  if want ~= got then
    error(name .. ".hex: want\n" .. _M.hex(want) .. "\ngot\n" ..
          _M.hex(got or ""), 2)
  end
end


return _M
