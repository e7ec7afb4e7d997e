package benchmark

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/kongring/kongring/bench/served"
	"github.com/kongring/kongring/bench/suite"
	"github.com/kongring/kongring/luabridge"
	"github.com/kongring/kongring/luabridge/testbed"
	"github.com/kongring/kongring/server/cmd/internal/exit"
)

// serverName is the hidden command that serves the plugins of the benchmark.
const serverName = "bench-server"

type options struct {
	out          string
	calls, conns []int
	rounds       int
	seconds      float64
}

// Command is kongring bench.
func Command() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure Go plugins beside Lua and Kong's stock way on this machine",
		Long: `Runs one plugin in Lua, in Go over the rings, in Go over the socket, and in Go the way
Kong has it without kongring, in an nginx of its own, and sends requests. It takes
about a minute, nginx with its Lua module, wrk and a C compiler; no Kong, and nothing
that runs here is touched. Let nothing else run meanwhile, and compare by ratio.

It prints a table, and writes it with all samples and pictures into files
kongring-*.txt, .json, .md, .svg and .png, over those of an earlier run.`,
		Example: `  kongring bench
  kongring bench --out results --rounds 3 --connections 1,16,64`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return explain(o.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr()))
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.out, "out", ".", "`DIR` for the files")
	f.IntSliceVar(&o.calls, "calls", []int{0, 1, 10, 50}, "PDK calls for each request: `NUMBER`s")
	f.IntSliceVar(&o.conns, "connections", []int{1, 16}, "connections at a time: `NUMBER`s; the pictures are of the last")
	f.IntVar(&o.rounds, "rounds", 1, "measure everything so `MANY` times")
	f.Float64Var(&o.seconds, "seconds", 0.7, "how many `SECONDS` requests are sent for one sample")
	_ = cmd.MarkFlagDirname("out")
	return cmd
}

// Server is the command that the benchmark starts as its plugin server. Its flags
// are those of a plugin server.
func Server() *cobra.Command {
	return &cobra.Command{
		Use: serverName, Short: "Serve the plugins of the benchmark", Hidden: true, DisableFlagParsing: true,
		RunE: func(_ *cobra.Command, args []string) error { return served.Main(args) },
	}
}

func (o options) run(ctx context.Context, out, errOut io.Writer) error {
	if err := o.check(); err != nil {
		return err
	}
	if err := missing(); err != nil {
		return err
	}
	// Before a minute is spent.
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return err
	}
	probe, err := os.CreateTemp(o.out, "kongring-")
	if err != nil {
		return err
	}
	if err := errors.Join(probe.Close(), os.Remove(probe.Name())); err != nil {
		return err
	}
	ctx, stop := exit.UntilDeaf(ctx)
	defer stop()
	plan := suite.Own(o.rounds, o.seconds, o.calls, o.conns)
	report, err := suite.RunBuild(ctx, plan, itself, suite.NewProgress(errOut))
	if errors.Is(context.Cause(ctx), exit.ErrDeaf) {
		return exit.ErrDeaf
	}
	if err != nil {
		return err
	}
	files, err := report.Save(filepath.Join(o.out, "kongring-"), o.conns[len(o.conns)-1])
	if err != nil {
		return err
	}
	report.WriteRequests(out)
	for _, file := range files {
		if _, err := fmt.Fprintln(out, "wrote", file); err != nil {
			return err
		}
	}
	return nil
}

// check looks whether the flags make sense.
func (o options) check() error {
	for _, list := range []struct {
		name        string
		values      []int
		least, most int
	}{{"calls", o.calls, 0, 1000}, {"connections", o.conns, 1, 1000}} {
		sorted := slices.Sorted(slices.Values(list.values))
		if len(sorted) == 0 || sorted[0] < list.least || sorted[len(sorted)-1] > list.most || len(slices.Compact(sorted)) != len(list.values) {
			return exit.Misuse("flag --%s: want different numbers from %d to %d", list.name, list.least, list.most)
		}
	}
	if o.rounds < 1 || o.rounds > 100 {
		return exit.Misuse("flag --rounds=%d: want 1 to 100", o.rounds)
	}
	if !(o.seconds >= 0.05 && o.seconds <= 60) {
		return exit.Misuse("flag --seconds=%v: want 0.05 to 60", o.seconds)
	}
	return nil
}

// itself makes a build of what is in this command: it is the plugin server itself,
// and has the bridge's modules.
func itself(_ context.Context, dir string) (b testbed.Build, err error) {
	if b.Server, err = os.Executable(); err != nil {
		return b, err
	}
	b.Args = []string{serverName}
	b.Lua = filepath.Join(dir, "bridge")
	if err := os.CopyFS(filepath.Join(b.Lua, "kongring"), luabridge.Modules()); err != nil {
		return b, err
	}
	b.Library, err = luabridge.BuildHelper("cc", dir)
	return b, err
}

// explain adds what to do to an error that says too little.
func explain(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w: choose a folder that you may write into by --out", err)
	}
	return err
}
