// Command soak keeps the plugin server and nginx under full load for a long time
// and fails when a request fails, memory, descriptors or goroutines grow, or a
// counter does not add up. See the package suite for what it writes.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/kongring/kongring/bench/suite"
)

func main() {
	length := flag.Duration("length", 10*time.Minute, "how long")
	carrier := flag.String("over", "ring", "carrier: ring or socket")
	results := flag.String("results", "", "write text, JSON and a picture to a folder in this one, named after the machine")
	flag.Parse()
	if *carrier != "ring" && *carrier != "socket" || *length <= 0 {
		fmt.Fprintf(os.Stderr, "soak: %v over %q, want some time over ring or socket\n", *length, *carrier)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	s, err := suite.RunSoak(ctx, *carrier, *length, suite.SoakStretch(*length), os.Stderr)
	// What failed is worth a look too, but what was broken off is no result.
	if *results != "" && len(s.Samples) > 0 && ctx.Err() == nil {
		err = errors.Join(err, s.Save(filepath.Join(*results, s.Machine.Name())))
	}
	stop()
	fmt.Println(s.Verdict)
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}
