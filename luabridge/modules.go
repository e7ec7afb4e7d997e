package luabridge

import (
	"embed"
	"io/fs"
)

//go:embed kongring/*.lua
var modules embed.FS

// Modules are the bridge's Lua modules: the files of the folder kongring, which
// stands on Kong's Lua path beside what the plugins install. The C helper, which
// [BuildHelper] makes, belongs into that folder too. It may be read from any
// goroutine.
func Modules() fs.FS {
	sub, err := fs.Sub(modules, "kongring")
	if err != nil {
		panic(err) // the name is a constant that fits
	}
	return sub
}
