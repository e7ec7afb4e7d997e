// Command layoutgen writes what the Go structs and tables say about the shared
// memory for the other languages: kongring/layout.lua, kongring/methods.lua and
// helper/kongring_layout.h; and for plugin authors, server/pdk/METHODS.md. It
// runs in the folder luabridge, by go generate.
package main

import (
	"fmt"
	"os"
)

func main() {
	for path, content := range generate() {
		if err := os.WriteFile(path, content, 0o644); err != nil {
			fmt.Fprintln(os.Stderr, "layoutgen:", err)
			os.Exit(1)
		}
	}
}
