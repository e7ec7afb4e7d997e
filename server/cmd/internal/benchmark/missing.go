package benchmark

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/kongring/kongring/luabridge/host"
)

// luaFolders are those in which nginx's Lua finds modules, by pattern: Debian's,
// LuaRocks', and OpenResty's.
var luaFolders = []string{
	"/usr/share/lua/5.1", "/usr/local/share/lua/5.1", "/usr/lib/lua/5.1", "/usr/lib/*/lua/5.1", "/usr/local/lib/lua/5.1",
	"/usr/local/openresty/lualib", "/usr/local/openresty/site/lualib",
}

// need is something that the benchmark takes of the machine.
type need struct {
	what, packages string // packages of Debian
	there          func() bool
}

var needs = []need{
	{"nginx with its Lua module", "nginx libnginx-mod-http-lua", func() bool { return host.Available() == nil }},
	{"wrk", "wrk", func() bool { return program("wrk") }},
	{"a C compiler", "gcc libc6-dev", func() bool { return program("cc") }},
	{"the Lua module cjson", "lua-cjson", func() bool { return luaModule("cjson.so") }},
	{"the Lua module MessagePack", "lua-messagepack", func() bool { return luaModule("MessagePack.lua") }},
}

// missing says what is, and which packages have it.
func missing() error {
	var what, packages []string
	for _, n := range needs {
		if !n.there() {
			what, packages = append(what, n.what), append(packages, n.packages)
		}
	}
	if len(what) == 0 {
		return nil
	}
	return fmt.Errorf("it takes %s, missing here: apt-get install %s (on Debian)",
		strings.Join(what, ", "), strings.Join(packages, " "))
}

func program(name string) bool {
	_, err := exec.LookPath(name)
	return err == nil
}

// luaModule tells whether a module's file is where Lua looks. Where somebody says
// by the environment that it is elsewhere, it is taken to be there.
func luaModule(file string) bool {
	if os.Getenv("LUA_PATH") != "" || os.Getenv("LUA_CPATH") != "" {
		return true
	}
	for _, folder := range luaFolders {
		if found, _ := filepath.Glob(filepath.Join(folder, file)); len(found) > 0 {
			return true
		}
	}
	return false
}
