package install

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kongring/kongring/server/cmd/internal/exit"
)

type options struct {
	prefix, dir        string
	socket, kongPrefix string
	helper, cc         string
	dry, verbose       bool
	noBridge           bool
	out                io.Writer
}

// Command is kongring install.
func Command() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "install [BINARY|FOLDER]...",
		Short: "Put the bridge and the modules of plugins where Kong finds them",
		Long: `Puts the bridge, Lua modules and the C helper, into PREFIX/share/lua/5.1/kongring,
and for each plugin of the binaries, or of those in the folders, handler.lua and
schema.lua into DIR/kong/plugins/NAME. Without a binary it is the bridge alone.

Run again it changes what differs, and nothing else. It refuses to replace a file
that it did not write, or that was changed since. A file kongring-installed.json in
either place says what uninstall may remove.`,
		Example: `  kongring install ./bin --dir /etc/kong/go
  kongring install my-plugin --dir /etc/kong/go --socket /run/my-plugin.socket --dry-run
  kongring install ./bin --dir /etc/kong/go --socket /run/kongring/%i/socket --prefix /usr --no-bridge`,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.out = cmd.OutOrStdout()
			return explain(install(cmd.Context(), o, args))
		},
	}
	o.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&o.socket, "socket", "", "`PATH` of the plugin server's socket; %i in it stands for the binary's name")
	f.StringVar(&o.kongPrefix, "kong-prefix", "/usr/local/kong", "Kong's prefix `DIR`: the sockets are DIR/NAME.socket")
	f.BoolVar(&o.noBridge, "no-bridge", false, "leave the bridge alone that is there already, such as a package's")
	f.StringVar(&o.helper, "helper", "", "`PATH` of a libkongring.so to take instead of compiling one")
	f.StringVar(&o.cc, "cc", "cc", "the C `COMPILER` for libkongring.so")
	return cmd
}

// Uninstall is kongring uninstall.
func Uninstall() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "uninstall [PLUGIN]...",
		Short: "Remove what install wrote",
		Long: `Removes exactly the files and folders that install wrote: of the plugins that are
named, or else of all plugins below DIR, if it is given, and of the bridge. A file
that was changed since is kept, and named, and the status is 1 then.`,
		Example: `  kongring uninstall --dir /etc/kong/go
  kongring uninstall my-plugin --dir /etc/kong/go`,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.out = cmd.OutOrStdout()
			return explain(uninstall(cmd.Context(), o, args))
		},
	}
	o.flags(cmd)
	return cmd
}

func (o *options) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.prefix, "prefix", "/usr/local", "`DIR`: the bridge is in DIR/share/lua/5.1/kongring")
	f.StringVar(&o.dir, "dir", "", "`DIR` of the plugins' modules, which is on Kong's lua_package_path")
	f.BoolVar(&o.dry, "dry-run", false, "say what would be done, and do nothing")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "name every file")
	_ = cmd.MarkFlagDirname("prefix")
	_ = cmd.MarkFlagDirname("dir")
}

// absolute makes the folders' paths whole.
func (o *options) absolute() (err error) {
	if o.prefix, err = filepath.Abs(o.prefix); err == nil && o.dir != "" {
		o.dir, err = filepath.Abs(o.dir)
	}
	return err
}

func (o options) bridgePlace() *place {
	// Whatever is in the folder kongring is kongring's.
	return &place{
		record: filepath.Join(bridgeFolder(o.prefix), recordName), ours: func([]byte) bool { return true },
		dry: o.dry, verbose: o.verbose, whole: true, out: o.out,
	}
}

func (o options) pluginPlace() *place {
	// What a plugin's own -install wrote says so in its first line.
	ours := func(text []byte) bool { return bytes.HasPrefix(text, []byte("-- Written by the plugin server of ")) }
	return &place{record: filepath.Join(o.dir, recordName), ours: ours, dry: o.dry, verbose: o.verbose, out: o.out}
}

func install(ctx context.Context, o options, args []string) error {
	if err := o.absolute(); err != nil {
		return err
	}
	if len(args) > 0 && o.dir == "" {
		return exit.Misuse("flag --dir is missing: the folder for the plugins' modules, such as /etc/kong/go")
	}
	if len(args) == 0 && o.noBridge {
		return exit.Misuse("flag --no-bridge leaves nothing to install: name a plugin binary, or a folder of them")
	}
	modules, err := modulesOf(ctx, o, args)
	if err != nil {
		return err
	}
	var plans []*plan
	todo, err := o.planBridge()
	if err != nil {
		return err
	}
	if todo != nil {
		plans = append(plans, todo)
	}
	if len(args) > 0 {
		if todo, err = o.pluginPlace().plan(modules); err != nil {
			return err
		}
		plans = append(plans, todo)
	}
	for _, todo := range plans {
		if err := todo.do(ctx); err != nil {
			return err
		}
	}
	if len(args) == 0 {
		return nil
	}
	_, err = fmt.Fprintf(o.out, "\nIn kong.conf:\nplugins = bundled,%s\nlua_package_path = %s/?.lua;%s/?.lua;./?.lua;./?/init.lua;\n",
		strings.Join(names(o, modules), ","), o.dir, filepath.Dir(bridgeFolder(o.prefix)))
	return err
}

// planBridge is what is to be done for the bridge, nil for nothing.
func (o options) planBridge() (*plan, error) {
	if o.noBridge {
		if _, err := os.Stat(filepath.Join(bridgeFolder(o.prefix), helperName)); err != nil {
			return nil, exit.Misuse("flag --no-bridge: there is none: %w; name its --prefix, such as /usr, or leave the flag out", err)
		}
		return nil, nil
	}
	files, err := bridge(o)
	if err != nil {
		return nil, err
	}
	return o.bridgePlace().plan(files)
}

// modulesOf gives the modules of all plugins that the arguments name, by path.
func modulesOf(ctx context.Context, o options, args []string) (map[string]file, error) {
	all, err := binaries(args)
	if err != nil {
		return nil, err
	}
	if err := o.checkSocket(len(all)); err != nil {
		return nil, err
	}
	from, files := map[string]string{}, map[string]file{}
	for _, binary := range all {
		modules, err := plugins(ctx, binary, o.socketFlags(binary))
		if err != nil {
			return nil, err
		}
		for name, text := range modules {
			path := filepath.Join(o.pluginFolder(), name)
			if other := from[path]; other != "" && other != binary {
				return nil, fmt.Errorf("plugin %s is in %s and in %s: install one of them", filepath.Dir(name), other, binary)
			}
			from[path], files[path] = binary, file{text, 0o644}
		}
	}
	return files, nil
}

func (o options) pluginFolder() string { return filepath.Join(o.dir, "kong", "plugins") }

// names are the plugins' names in what is, or was, written for them.
func names[T any](o options, files map[string]T) []string {
	var all []string
	for path := range maps.Keys(files) {
		all = append(all, filepath.Base(filepath.Dir(path)))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func uninstall(ctx context.Context, o options, wanted []string) error {
	if err := o.absolute(); err != nil {
		return err
	}
	if len(wanted) > 0 && o.dir == "" {
		return exit.Misuse("flag --dir is missing: the folder that the plugins were installed into")
	}
	var kept []string
	if o.dir != "" {
		r, err := readRecord(o.pluginPlace().record)
		if err != nil {
			return err
		}
		there := names(o, r.Files)
		if len(there) == 0 && len(wanted) > 0 {
			return exit.Misuse("unknown plugin %q: install wrote nothing into %s", wanted[0], o.dir)
		}
		for _, name := range wanted {
			if !slices.Contains(there, name) {
				return exit.Misuse("unknown plugin %q: installed in %s are: %s", name, o.dir, strings.Join(there, ", "))
			}
		}
		kept, err = o.pluginPlace().remove(ctx, func(path string) bool {
			return len(wanted) == 0 || slices.Contains(wanted, filepath.Base(filepath.Dir(path)))
		})
		if err != nil {
			return err
		}
	}
	if len(wanted) == 0 {
		more, err := o.bridgePlace().remove(ctx, func(string) bool { return true })
		if err != nil {
			return err
		}
		kept = append(kept, more...)
	}
	if len(kept) > 0 {
		return fmt.Errorf("kept what was changed since it was installed: %s", strings.Join(kept, ", "))
	}
	return nil
}

// explain adds what to do to an error that says too little.
func explain(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w: run it as who owns that folder, or choose others by --prefix and --dir", err)
	}
	return err
}
