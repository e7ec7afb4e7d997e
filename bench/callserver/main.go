// Command callserver serves the example plugin calls for the benchmarks, with
// the shortcuts that spare round trips, or without; and two small plugins more,
// mallocs and slow.
package main

import (
	"flag"
	"log"

	"github.com/kongring/kongring/server"
	"github.com/kongring/kongring/server/examples/calls"
)

func main() {
	sync := flag.Bool("sync", false, "make each call a round trip of its own: no memo, no prefetch, no posted writes")
	bound := flag.Bool("affinity", false, "bind a session's reader beside its worker")
	flag.Parse()
	options := []server.Option{
		server.WithSocket(server.SocketPath("callserver")),
		server.WithPlugin("calls", calls.New, calls.Version, calls.Priority),
		server.WithPlugin("mallocs", func() interface{} { return &mallocs{} }, calls.Version, calls.Priority),
		server.WithPlugin("slow", func() interface{} { return &slow{} }, calls.Version, calls.Priority),
	}
	if *bound {
		options = append(options, server.Affinity())
	}
	if *sync {
		options = append(options, server.SyncWrites(), server.WithoutMemo(), server.WithoutPrefetch())
	}
	if err := server.Run(options...); err != nil {
		log.Fatal(err)
	}
}
