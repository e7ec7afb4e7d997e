package bench

import (
	"embed"
	"io/fs"
)

//go:embed lua
var lua embed.FS

// Lua are the Lua modules of the benchmarks, for a folder on nginx's Lua path: the
// twin of the plugin calls, the loop that runs a handler over and over, and Kong's
// stock way to a plugin server. It may be read from any goroutine.
func Lua() fs.FS {
	sub, err := fs.Sub(lua, "lua")
	if err != nil {
		panic(err) // the name is a constant that fits
	}
	return sub
}
