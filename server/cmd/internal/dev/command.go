package dev

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/kongring/kongring/server/cmd/internal/exit"
)

// Command is kongring dev.
func Command() *cobra.Command {
	var installDir string
	cmd := &cobra.Command{
		Use:   "dev DIR [-- SERVER-FLAG...]",
		Short: "Build and run a plugin anew whenever a file is saved",
		Long: `Builds the plugin in DIR, starts its server with the flags behind "--", and watches
its files, with those of all modules that lie outside of the module cache. When one
is saved it builds again, and the new server takes over from the old one: no request
fails. What does not build, or does not start, leaves the old server as it is.

Flags for the go command come from the environment: GOFLAGS="-race -tags=mine".`,
		Example: `  kongring dev ./my-plugin
  kongring dev ./my-plugin --install-dir /etc/kong/go -- -socket /run/my-plugin.socket -log-level debug`,
		Args: oneFolder,
		RunE: func(cmd *cobra.Command, args []string) error {
			return run(cmd.Context(), args[0], args[1:], installDir, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.StringVar(&installDir, "install-dir", "", "keep the modules that Kong loads up to date in `DIR`, as kongring install --dir does")
	_ = cmd.MarkFlagDirname("install-dir")
	return cmd
}

// oneFolder wants one argument before the dashes.
func oneFolder(cmd *cobra.Command, args []string) error {
	before := len(args)
	if dash := cmd.ArgsLenAtDash(); dash >= 0 {
		before = dash
	}
	if before != 1 {
		return exit.Misuse("want one DIR with a plugin, got %d; flags of its server stand behind --", before)
	}
	return nil
}

// run is the command until ctx ends, or something that no save can mend.
func run(ctx context.Context, dir string, args []string, installDir string, out, errOut io.Writer) (err error) {
	p, err := open(ctx, dir)
	if err != nil {
		return err
	}
	temporary, err := os.MkdirTemp("", "kongring-dev-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temporary)) }()
	w, err := newWatcher()
	if err != nil {
		return fmt.Errorf("watch files: %w", err)
	}
	defer w.close()
	ctx, stop := exit.UntilDeaf(ctx)
	defer stop()
	l := &loop{
		project: p, watcher: w, temporary: temporary, args: args, installDir: installDir,
		out: (&console{to: out}).writer(), console: &console{to: errOut},
	}
	defer l.end()
	l.console.say("builds %s", dir)
	return l.run(ctx)
}

// open looks whether there is a program that can be built in a folder.
func open(ctx context.Context, dir string) (*project, error) {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, exit.Misuse("%s does not exist: name the folder of a plugin, or write one by kongring new", dir)
	case err != nil:
		return nil, err
	case !info.IsDir():
		return nil, exit.Misuse("%s is no folder: name the one that the plugin's package main is in", dir)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	p := &project{dir: dir}
	return p, p.look(ctx)
}
