// Command pictures draws the pictures of HOW-IT-WORKS.md, as SVG in its own
// folder. The test compares what it draws with the files.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

//go:generate go run .

// pictures are all of them, by the name of the file.
var pictures = map[string]func() *canvas{
	"request.svg":   request,
	"ring.svg":      ring,
	"waiting.svg":   waiting,
	"session.svg":   session,
	"hand-over.svg": handOver,
}

func main() {
	dir := flag.String("dir", ".", "folder to write to")
	flag.Parse()
	for name, draw := range pictures {
		if err := os.WriteFile(filepath.Join(*dir, name), []byte(draw().svg()), 0o644); err != nil {
			fmt.Fprintln(os.Stderr, "pictures:", err)
			os.Exit(1)
		}
	}
}
