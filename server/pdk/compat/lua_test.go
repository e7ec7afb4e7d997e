package compat

import (
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/luabridge/pages"
)

// A lua value is nil, a bool, a float64, a string or a table.
type lua = interface{}

// table is a Lua table: a list, and fields.
type table struct {
	list   []lua
	fields map[string]lua
}

func fields(f map[string]lua) table { return table{fields: f} }

func list(values ...lua) table { return table{list: values} }

// luaText is how a value is written in Lua; fields are in order of their names.
func luaText(v lua) string {
	switch v := v.(type) {
	case nil:
		return "nil"
	case table:
		var parts []string
		for _, e := range v.list {
			parts = append(parts, luaText(e))
		}
		for k, e := range v.fields {
			parts = append(parts, k+" = "+luaText(e))
		}
		slices.Sort(parts[len(v.list):])
		return strings.TrimSpace("{ "+strings.Join(parts, ", ")) + " }"
	case string:
		return fmt.Sprintf("%q", v)
	}
	return fmt.Sprint(v)
}

// giving makes every method of Kong give one value after the other, and prints
// what the bridge sends to the server for it: the number of the method and of the
// value, and the message in hexadecimal digits or what is wrong.
const giving = `
local value
local function holder()
  return setmetatable({}, { __index = function() return value end })
end
local function gives()
  return value
end
local anything = setmetatable({}, { __call = gives })
getmetatable(anything).__index = function() return anything end
kong = setmetatable({ ctx = { shared = holder(), plugin = holder() } }, { __index = anything })
ngx = {
  ctx = holder(), var = holder(), req = { get_body_file = function() end, start_time = gives },
  resp = { get_headers = function() return type(value) == "table" and value or {} end },
  config = { subsystem = "http" },
}
package.preload["ngx.ssl"] = function() return { get_tls1_version_str = gives } end
-- but for what the bridge itself reads there
setmetatable(ngx.ctx, { __index = function(_, k) if k ~= "buffered_headers" then return value end end })

local msgpack, pdk = require "kongring.msgpack", require "kongring.pdk"
local methods = require "kongring.methods"
local b, reader, none = msgpack.new_buffer(64), msgpack.new_reader(), msgpack.new_buffer(8)
none:put_array(0)
for v = 1, count do
  value = values[v]
  for m = 1, #methods do
    b:reset()
    reader:set(none.data, none.len)
    local row = pdk.method(m)
    local ok, sent, err = pcall(function()
      return row.put(b, pdk.call(row, reader))
    end)
    if ok and sent then
      print(m, v, (b:tostring():gsub(".", function(c) return ("%02x"):format(c:byte()) end)))
    else
      print(m, v, "error: " .. tostring(ok and err or sent))
    end
  end
end
`

// sends gives what the bridge sends for what a method gives: by its number, and
// the number of the value, both from 1 on. What it cannot send is absent.
func sends(t *testing.T, values []lua) map[[2]int][]byte {
	t.Helper()
	luajit, err := exec.LookPath("luajit")
	if err != nil {
		t.Skip("luajit is not installed")
	}
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = fmt.Sprintf("[%d] = %s", i+1, luaText(v))
	}
	script := fmt.Sprintf("local count, values = %d, { %s }\n%s", len(values), strings.Join(texts, ", "), giving)
	cmd := exec.Command(luajit, "-e", script)
	cmd.Env = append(os.Environ(), "LUA_PATH="+pages.Root(t)+"/luabridge/?.lua;;")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	sent := map[[2]int][]byte{}
	for line := range strings.Lines(string(out)) {
		var at [2]int
		var digits string
		if _, err := fmt.Sscan(line, &at[0], &at[1], &digits); err != nil || digits == "error:" {
			continue
		}
		sent[at], err = hex.DecodeString(digits)
		require.NoError(t, err, line)
	}
	return sent
}
