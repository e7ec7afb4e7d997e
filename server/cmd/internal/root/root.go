// Package root is the command kongring: its subcommands, and how it ends.
package root

import (
	"context"
	"fmt"
	"io"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/kongring/kongring/server/cmd/internal/exit"
)

// Main runs the command with the given arguments, behind its name, and gives
// the status to end the process with. SIGINT, SIGTERM and SIGHUP end it early.
func Main(args []string, out, errOut io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	cmd := New()
	cmd.SetArgs(args)
	cmd.SetOut(out)
	cmd.SetErr(errOut)
	err := cmd.ExecuteContext(ctx)
	status, line := exit.Status(err)
	if line != "" {
		// One line, whatever a library or a plugin put into it.
		fmt.Fprintln(errOut, "kongring: "+strings.Join(strings.Fields(line), " "))
	}
	return status
}

// New is the command with all its subcommands.
func New() *cobra.Command {
	cmd := &cobra.Command{
		Use:           "kongring",
		Short:         "Install, check and watch Go plugins of Kong Gateway",
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
