// Command examples serves the three example plugins from one process.
package main

import (
	"flag"
	"log"

	"github.com/kongring/kongring/server"
	"github.com/kongring/kongring/server/examples/calls"
	"github.com/kongring/kongring/server/examples/gate"
	"github.com/kongring/kongring/server/examples/hello"
)

func main() {
	flag.Parse()
	err := server.Run(
		server.WithSocket(server.SocketPath("examples")),
		server.WithPlugin("hello", hello.New, hello.Version, hello.Priority),
		server.WithPlugin("gate", gate.New, gate.Version, gate.Priority),
		server.WithPlugin("calls", calls.New, calls.Version, calls.Priority),
	)
	if err != nil {
		log.Fatal(err)
	}
}
