// Package root is the command kongring: its subcommands, and how it ends.
package root

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/kongring/kongring/server/cmd/internal/exit"
)

// Main runs the command with the given arguments, behind its name, and gives
// the status to end the process with. SIGINT, SIGTERM and SIGHUP end it early.
func Main(args []string, out, errOut io.Writer) int {
	ctx, stop := untilSignal()
	defer stop()
	cmd := New()
	cmd.SetArgs(args)
	cmd.SetOut(out)
	cmd.SetErr(errOut)
	err := cmd.ExecuteContext(ctx)
	if err != nil && ctx.Err() != nil {
		// Whatever it says: a Ctrl-C reaches the programs too that it has started.
		err = context.Cause(ctx)
	}
	status, line := exit.Status(err)
	if line != "" {
		// One line, whatever a library or a plugin put into it.
		fmt.Fprintln(errOut, "kongring: "+strings.Join(strings.Fields(line), " "))
	}
	return status
}

// untilSignal is a context that the first signal ends. A second one ends the
// process, whatever it does.
func untilSignal() (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		select {
		case s := <-signals:
			signal.Stop(signals)
			cancel(exit.Signal{Signal: s.(syscall.Signal)})
		case <-ctx.Done():
		}
	}()
	return ctx, func() { signal.Stop(signals); cancel(nil) }
}

// New is the command with all its subcommands.
func New() *cobra.Command {
	cmd := &cobra.Command{
		Use:           "kongring",
		Short:         "Write, install, check and watch Go plugins of Kong Gateway",
		Version:       version(),
		Args:          cobra.ArbitraryArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknown(cmd, args[0])
			}
			return cmd.Help()
		},
	}
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return exit.Misuse("%w; see %s --help", err, cmd.CommandPath())
	})
	cmd.SetVersionTemplate("kongring {{.Version}}\n")
	cmd.SetUsageTemplate(strings.ReplaceAll(cmd.UsageTemplate(), ".FlagUsages ", ".FlagUsagesWrapped 80 "))
	cmd.AddCommand(commands()...)
	return cmd
}

// unknown says that there is no such subcommand, and what comes near it.
func unknown(cmd *cobra.Command, name string) error {
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(name); len(near) > 0 {
		return exit.Misuse("unknown command %q: did you mean %s?", name, strings.Join(near, " or "))
	}
	return exit.Misuse("unknown command %q; see kongring --help", name)
}
