// Package served is the plugin server of the benchmarks: the example plugin calls,
// with the shortcuts that spare round trips, or without; and two small plugins more,
// mallocs and slow.
package served

import (
	"flag"
	"os"

	"github.com/kongring/kongring/server"
	"github.com/kongring/kongring/server/examples/calls"
)

// Main serves until SIGTERM or SIGINT, with args for the flags of the process: those
// of any plugin server, and -sync and -affinity. It is called once, by a process that
// has read no flags of package flag.
func Main(args []string) error {
	sync := flag.Bool("sync", false, "make each call a round trip of its own: no memo, no prefetch, no posted writes")
	bound := flag.Bool("affinity", false, "bind a session's reader beside its worker")
	os.Args = append(os.Args[:1:1], args...)
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
	return server.Run(options...)
}
