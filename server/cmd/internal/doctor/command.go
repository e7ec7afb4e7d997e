package doctor

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/kongring/kongring/server/cmd/internal/exit"
)

type options struct {
	prefix, conf string
	json         bool
}

// Command is kongring doctor.
func Command() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look for what is wrong with this machine and its Kong",
		Long: `Checks the machine, and the Kong at a prefix, or with a kong.conf: shared memory,
seccomp, limits, cores and their sleep, the bridge and its helper on Kong's Lua
path, versions, plugins, sockets and servers, and what nginx is told. Each finding
has a level, and what to do. Without a flag it is the Kong at /usr/local/kong, if
one was started there.

Run it where Kong and the plugin servers run: in their container, as their user.

The status is 0 when nothing needs to be done, 1 when there is a warning or an
error, 2 when the command line makes no sense.`,
		Example: `  kongring doctor --prefix /usr/local/kong
  kongring doctor -c /etc/kong/kong.conf --json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return exit.Misuse("unexpected argument %q: the Kong is named by --prefix or -c", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			r := &report{}
			if err := o.check(cmd.Flags().Changed("prefix"), r); err != nil {
				return err
			}
			if err := cmd.Context().Err(); err != nil {
				return err
			}
			print := r.print
			if o.json {
				print = r.printJSON
			}
			if err := print(cmd.OutOrStdout()); err != nil {
				return err
			}
			if !r.fine() {
				return exit.ErrFindings
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.prefix, "prefix", "/usr/local/kong", "Kong's prefix `DIR`, where it was started")
	f.StringVarP(&o.conf, "conf", "c", "", "`FILE` with Kong's configuration, instead of a prefix")
	f.BoolVar(&o.json, "json", false, "print the findings as a JSON list")
	_ = cmd.MarkFlagDirname("prefix")
	_ = cmd.MarkFlagFilename("conf", "conf")
	return cmd
}

// check runs all checks. It fails where the Kong that is named is none.
func (o options) check(named bool, r *report) error {
	if named && o.conf != "" {
		return exit.Misuse("flags --prefix and --conf both name a Kong: give one")
	}
	prefix, err := filepath.Abs(o.prefix)
	if err != nil {
		return err
	}
	var kong settings
	switch {
	case o.conf != "":
		kong, err = ofFile(o.conf, os.Environ())
	case named || exists(filepath.Join(prefix, ".kong_env")):
		kong, err = ofPrefix(prefix)
	}
	if err != nil {
		return err
	}
	m := machine{"/"}
	m.check(r)
	if kong == nil {
		r.add(Note, "kong", "name it by --prefix or -c kong.conf", "no Kong was started at %s", prefix)
		return nil
	}
	kong.nginx(m, r)
	kong.bridge(r)
	for _, socket := range kong.plugins(r) {
		kong.server(socket, r)
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
