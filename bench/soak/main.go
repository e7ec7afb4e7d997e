// Command soak keeps the plugin server and nginx under full load for a long time
// and fails when a request fails, memory grows or a counter does not add up.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/kongring/kongring/bench/suite"
)

func main() {
	minutes := flag.Float64("minutes", 10, "length")
	carrier := flag.String("over", "ring", "carrier: ring or socket")
	flag.Parse()
	if *carrier != "ring" && *carrier != "socket" {
		fmt.Fprintf(os.Stderr, "soak: carrier %q, want ring or socket\n", *carrier)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	length := time.Duration(*minutes * float64(time.Minute))
	s, err := suite.RunSoak(ctx, *carrier, length, min(10*time.Second, length/6), os.Stderr)
	stop()
	fmt.Printf("%s: %.0f requests, %d events, %s\n", s.Mode, s.Requests, s.Events, s.Machine.Name())
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}
