// Command run is the chaos run: see the package chaos. It fails when a rule was
// broken; times are only printed.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/kongring/kongring/luabridge/chaos"
)

func main() {
	minutes := flag.Float64("minutes", 3, "length; the last round is done to its end")
	seed := flag.Uint64("seed", uint64(time.Now().UnixNano()), "what is done when, and what is sent, follows from it")
	faults := flag.String("faults", "", "names of faults, with semicolons between; all by default")
	workers := flag.Int("workers", 3, "workers of nginx")
	pairs := flag.Int("pairs", 4, "times that a round does two faults at once")
	clients := flag.Int("clients", 16, "clients at a time")
	race := flag.Bool("race", false, "build the plugin servers with the race detector")
	bridge := flag.String("bridge", "", "folder with another copy of the bridge, as kongring/*.lua")
	flag.Parse()
	o := chaos.Options{
		Length: time.Duration(*minutes * float64(time.Minute)), Seed: *seed,
		Pairs: *pairs, Workers: *workers, Clients: *clients, Log: os.Stderr, Bridge: *bridge,
	}
	if *faults != "" {
		o.Faults = strings.Split(*faults, ";")
	}
	if *race {
		o.BuildFlags = []string{"-race"}
	}
	fmt.Fprintln(os.Stderr, "seed", *seed)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	report, err := chaos.Run(ctx, o)
	stop()
	fmt.Print(report.Markdown())
	for _, example := range report.Examples {
		fmt.Fprintln(os.Stderr, example)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}
