package scaffold

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/kongring/kongring/server/cmd/internal/exit"
)

// leastGo is the version of Go that kongring itself wants.
const leastGo = "1.26.0"

type options struct {
	dir, module, replace string
	dry                  bool
}

// Command is kongring new.
func Command() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "new NAME",
		Short: "Write the source of a new plugin",
		Long: `Writes a Go module with a plugin that works: its config, a handler of the phase
access and one of log, a unit test, and a README with what to do next. It runs
"go mod tidy" in it, so that it builds at once. No file is overwritten.`,
		Example: `  kongring new my-plugin
  kongring new my-plugin --module git.example.com/gateway/my-plugin --dir plugins/my-plugin`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return exit.Misuse("want one NAME of a plugin, got %d; see kongring new --help", len(args))
			}
			return nil
		},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			return explain(o.create(cmd.Context(), args[0], cmd.OutOrStdout()))
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.dir, "dir", "", "`DIR` to write into; a folder of the plugin's name unless set")
	f.StringVar(&o.module, "module", "", "`PATH` of the module; example.com/NAME unless set")
	f.StringVar(&o.replace, "replace", "", "`PATH` of a checkout of kongring to build with, instead of this command's version")
	f.BoolVar(&o.dry, "dry-run", false, "say what would be written, and write nothing")
	_ = cmd.MarkFlagDirname("dir")
	_ = cmd.MarkFlagDirname("replace")
	return cmd
}

func (o options) create(ctx context.Context, name string, out io.Writer) error {
	if err := checkName(name); err != nil {
		return exit.Misuse("%w", err)
	}
	v := values{Name: name, Header: "x-" + strings.ReplaceAll(name, "_", "-"), Module: cmp.Or(o.module, "example.com/"+name), Go: leastGo}
	if err := checkModule(v.Module); err != nil {
		return exit.Misuse("%w", err)
	}
	var err error
	if v.Version, v.Folder, err = requirement(o.replace); err != nil {
		return err
	}
	dir := cmp.Or(o.dir, name)
	files, err := render(dir, v)
	if err != nil {
		return err
	}
	if err := free(files); err != nil {
		return err
	}
	done := "wrote"
	if o.dry {
		done = "would write"
	} else if err := write(dir, files); err != nil {
		return err
	}
	for _, f := range files {
		if _, err := fmt.Fprintln(out, done, f.path); err != nil {
			return err
		}
	}
	if o.dry {
		return nil
	}
	if err := tidy(ctx, dir); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "\nNext:\ncd %s\ngo test ./...\nkongring dev . -- -socket ./%s.socket\n", dir, name)
	return err
}

// tidy completes go.mod and writes go.sum.
func tidy(ctx context.Context, dir string) error {
	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, "go", "mod", "tidy")
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &said, &said
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = 5 * time.Second
	err := cmd.Run()
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, exec.ErrNotFound):
		return fmt.Errorf("there is no Go here: install Go %s or newer, and run go mod tidy in %s", leastGo, dir)
	}
	lines := strings.Split(strings.TrimSpace(said.String()), "\n")
	return fmt.Errorf("go mod tidy in %s: %w: %s: run it there again once that is mended", dir, err, lines[len(lines)-1])
}

// explain adds what to do to an error that says too little.
func explain(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w: choose a folder that you may write into by --dir", err)
	}
	return err
}
