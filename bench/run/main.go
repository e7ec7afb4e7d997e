// Command run measures all there is and says how far the targets are: see the
// package suite for what, how, and the JSON. It runs anywhere in the work tree.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/kongring/kongring/bench/suite"
)

// pictured is the number of connections that the pictures are about.
const pictured = 16

func main() {
	quick := flag.Bool("quick", false, "measure roughly, in less than a minute")
	rounds := flag.Int("rounds", 0, "measure everything that often; 3 unless set, 1 if -quick")
	out := flag.String("out", "", "write JSON to this file")
	picture := flag.String("picture", "", "write text, JSON, targets and pictures to a folder in this one, named after the machine")
	modes := flag.String("modes", "", "measure only these, separated by commas, by events and requests: "+strings.Join(suite.Modes(), ", "))
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	plan := suite.Full()
	if *quick {
		plan = suite.Quick()
	}
	if *modes != "" {
		plan.Modes = strings.Split(*modes, ",")
	}
	if *rounds > 0 {
		plan.Rounds = *rounds
	}
	err := run(ctx, plan, *out, *picture)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "\nbench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, plan suite.Plan, out, picture string) error {
	for _, name := range plan.Modes {
		if !slices.Contains(suite.Modes(), name) {
			return fmt.Errorf("-modes: there is no mode %q: want %s", name, strings.Join(suite.Modes(), ", "))
		}
	}
	report, err := suite.Run(ctx, plan, os.Stderr)
	if err != nil {
		return err
	}
	if err := report.WriteText(os.Stdout); err != nil {
		return err
	}
	if out != "" {
		text, err := report.JSON()
		if err == nil {
			err = os.WriteFile(out, text, 0o644)
		}
		if err != nil {
			return err
		}
	}
	if picture != "" {
		return save(&report, filepath.Join(picture, report.Machine.Name()))
	}
	return nil
}

func save(report *suite.Report, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	_, err := report.Save(dir+string(filepath.Separator), pictured)
	return err
}
