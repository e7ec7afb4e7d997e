// Command server hosts the Go side of the conformance suite.
package main

import (
	"flag"
	"log"

	"github.com/kongring/kongring/luabridge/e2e/conform"
	"github.com/kongring/kongring/server"
)

var sync = flag.Bool("sync", false, "make every call a round trip")

func main() {
	flag.Parse()
	options := []server.Option{
		server.WithSocket(server.SocketPath("conform")),
		server.WithPlugin("conform", conform.New, "0.1", 10),
	}
	if *sync {
		options = append(options, server.SyncWrites(), server.WithoutMemo(), server.WithoutPrefetch())
	}
	if err := server.Run(options...); err != nil {
		log.Fatal(err)
	}
}
