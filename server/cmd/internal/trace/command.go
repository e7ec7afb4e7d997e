package trace

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/kongring/kongring/server/cmd/internal/exit"
	"github.com/kongring/kongring/server/cmd/internal/record"
)

// Command is kongring trace.
func Command() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "trace",
		Short: "Record the events of a worker, show them, and replay them",
		Long: `Records what a worker of Kong and a plugin server say to each other about the
events of requests. A record is a file that can be read, shown as a timeline, attached
to a report, and replayed against a plugin's binary, without Kong: a report becomes a
test.`,
		Example: `  kongring trace record /usr/local/kong/my-plugin.socket -o my-plugin.trace
  kongring trace show my-plugin.trace
  kongring trace replay my-plugin.trace ./my-plugin`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return exit.Misuse("unknown command %q: want record, show or replay", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(recordCommand(), showCommand(), replayCommand())
	return cmd
}

// exactly wants arguments of the given names.
func exactly(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < len(names) {
			return exit.Misuse("no %s: see %s --help", names[len(args)], cmd.CommandPath())
		}
		if len(args) > len(names) {
			return exit.Misuse("%q is one argument too many: see %s --help", args[len(names)], cmd.CommandPath())
		}
		return nil
	}
}

// read reads a record; "-" is the standard input.
func read(path string, in io.Reader) (*record.Record, error) {
	if path != "-" {
		file, err := os.Open(path)
		if errors.Is(err, syscall.ENXIO) {
			return nil, fmt.Errorf("%s is a socket, want the file of a record", path)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("no file %s: kongring trace record makes one", path)
		}
		if err != nil {
			return nil, err
		}
		defer file.Close()
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			return nil, fmt.Errorf("%s is a folder, want the file of a record", path)
		}
		in = file
	}
	r, err := record.Read(in)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}
