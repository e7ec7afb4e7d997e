// Command hello is the plugin hello as most plugins are built: one binary,
// named like the plugin.
package main

import (
	"log"

	"github.com/kongring/kongring/server"
	"github.com/kongring/kongring/server/examples/hello"
)

func main() {
	if err := server.StartServer(hello.New, hello.Version, hello.Priority); err != nil {
		log.Fatal(err)
	}
}
