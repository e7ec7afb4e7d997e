package server

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"

	"github.com/kongring/kongring/server/metrics"
)

// The flags of a plugin binary. They stand in flag.CommandLine, like go-pdk's,
// so that a plugin may add its own.
var (
	kongPrefix  = flag.String("kong-prefix", "/usr/local/kong", "Kong's prefix `DIR`: the socket is DIR/NAME.socket")
	socketPath  = flag.String("socket", "", "`PATH` of the socket, instead of the one below -kong-prefix")
	socketGroup = flag.String("socket-group", "", "`GROUP`, by name or number, that the socket belongs to: its members can connect")
	allowUsers  = flagList("allow-user", "`NAME` of one more user whose processes may attach; may be repeated", nil)
	allowUIDs   = flagList("allow-uid", "`UID` of one more such user; may be repeated", checkID)
	carrier     = flag.String("carrier", "auto", "what carries the messages: auto (shared memory where the system grants it,\nelse the socket) or socket; one of `auto|socket`")
	logLevel    = flag.String("log-level", "", "least `LEVEL` of the server's own lines: debug, info, warn or error")
	logFormat   = flag.String("log-format", "", "write lines as fields in a `FORMAT`, text or json: the server's own, and what the\nplugin writes by log or log/slog; else as the program has it")
	watchParent = flag.String("watch-parent", "auto", "whether to end, once another server has the socket or nobody is attached, when the\nprocess that started this one is gone: auto (if it was an nginx), on or off; one\nof `auto|on|off`")
	metricsAt   = flag.String("metrics", "", "show metrics to Prometheus at `ADDR`: HOST:PORT, or unix:PATH for a Unix socket")
	withPprof   = flag.Bool("metrics-pprof", false, "with -metrics, show profiles of the process at /debug/pprof/")
	dump        = flag.Bool("dump", false, "print what Kong asks of a plugin server, as JSON, and end")
	onlyPlugin  = flag.String("plugin", "", "`NAME` of the one plugin that counts, of several")
	installDir  = flag.String("install", "", "write the modules that Kong loads below the folder `DIR`, and end")
	checkOnly   = flag.Bool("check", false, "look for faults in the plugin, print one line for each, and end with status 1\nif there are any")
	showVersion = flag.Bool("version", false, "print the versions of kongring and of the plugins, and end")
	help        = flag.Bool("help", false, "print this text and end")
)

// flagList defines a flag that may be given several times.
func flagList(name, usage string, check func(string) error) *[]string {
	var values []string
	flag.Func(name, usage, func(value string) error {
		values = append(values, value)
		if check == nil {
			return nil
		}
		return check(value)
	})
	return &values
}

func checkID(text string) error {
	if _, err := parseID(text); err != nil {
		return errors.New("want the number of a user")
	}
	return nil
}

// parseFlags reads the command line, unless that was done already. What makes
// no sense ends the process with status 2 and one line; so does -help with its
// text, as go-pdk has it.
func parseFlags() {
	if !flag.Parsed() {
		// Not as flag.Parse does it, which buries the fault under the whole text.
		flag.CommandLine.Init(os.Args[0], flag.ContinueOnError)
		flag.CommandLine.SetOutput(io.Discard)
		err := flag.CommandLine.Parse(os.Args[1:])
		flag.CommandLine.SetOutput(nil)
		if err != nil && !errors.Is(err, flag.ErrHelp) {
			misuse(err.Error())
		}
		*help = *help || err != nil
	}
	if *help {
		usage(os.Stderr)
		os.Exit(2)
	}
	if *carrier != "auto" && *carrier != "socket" {
		misuse(fmt.Sprintf("flag -carrier=%s: want auto or socket", *carrier))
	}
	if *watchParent != "auto" && *watchParent != "on" && *watchParent != "off" {
		misuse(fmt.Sprintf("flag -watch-parent=%s: want auto, on or off", *watchParent))
	}
	if *logFormat != "" && logFormats[*logFormat] == nil {
		misuse(fmt.Sprintf("flag -log-format=%s: want text or json", *logFormat))
	}
	if *metricsAt != "" {
		if _, _, err := metrics.ParseAddress(*metricsAt); err != nil {
			misuse(fmt.Sprintf("flag -metrics=%s: want HOST:PORT or unix:PATH", *metricsAt))
		}
	} else if *withPprof {
		misuse("flag -metrics-pprof: it wants -metrics as well")
	}
	if *logLevel != "" {
		if _, err := levelOf(*logLevel); err != nil {
			misuse(fmt.Sprintf("flag -log-level=%s: want debug, info, warn or error", *logLevel))
		}
	}
}

// misuse ends the process over its command line.
func misuse(what string) {
	fmt.Fprintf(os.Stderr, "%s: %s; -help lists the flags\n", command(), what)
	os.Exit(2)
}

// command is the name that the process was started by.
func command() string { return filepath.Base(os.Args[0]) }

func usage(w io.Writer) {
	fmt.Fprintf(w, `%[1]s is a plugin server for Kong.

  %[1]s               serve the plugins, until SIGTERM or SIGINT
  %[1]s -install DIR  write DIR/kong/plugins/NAME/*.lua, by which Kong finds the plugins
  %[1]s -dump         print what a Kong without these files asks for
  %[1]s -check        look for faults in the plugins
  %[1]s -version      print the versions

-install and -dump take the same flags about the socket as the server. Kong from
3.9 on takes one plugin of a dump: give each its own query command, with -plugin.

`, command())
	out := flag.CommandLine.Output()
	flag.CommandLine.SetOutput(w)
	flag.CommandLine.PrintDefaults()
	flag.CommandLine.SetOutput(out)
}

// flagOptions gives what the flags say, to come after a program's own options.
func flagOptions() (opts []Option) {
	if *socketGroup != "" {
		opts = append(opts, WithSocketGroup(*socketGroup))
	}
	for _, name := range *allowUsers {
		opts = append(opts, WithUser(name))
	}
	for _, text := range *allowUIDs {
		uid, _ := parseID(text) // checkID has looked at it
		opts = append(opts, WithUID(uid))
	}
	if *carrier == "socket" {
		opts = append(opts, WithCarrier(CarrierSocket))
	}
	if *logFormat != "" {
		opts = append(opts, WithLogFormat(*logFormat))
	}
	if *logLevel != "" {
		opts = append(opts, WithLogLevel(*logLevel))
	}
	if *metricsAt != "" {
		opts = append(opts, WithMetrics(*metricsAt))
	}
	if *withPprof {
		opts = append(opts, WithMetricsPprof())
	}
	if *onlyPlugin != "" {
		opts = append(opts, only(*onlyPlugin))
	}
	return opts
}

// only leaves one plugin.
func only(name string) Option {
	return func(o *options) error {
		var names []string
		for _, p := range o.plugins {
			if names = append(names, p.name); p.name == name {
				o.plugins = []*plugin{p}
				return nil
			}
		}
		return fmt.Errorf("flag -plugin=%s: the plugins here are %s", name, strings.Join(names, ", "))
	}
}

// printVersions prints a line for each plugin and one for kongring.
func (s *Server) printVersions(w io.Writer) {
	for _, p := range s.options.plugins {
		fmt.Fprintf(w, "%s %s\n", p.name, p.version)
	}
	fmt.Fprintf(w, "kongring %s\n", ownVersion())
}

// ownVersion is the version of this module in the binary, by the word of the
// tool that built it.
func ownVersion() string {
	const module = "github.com/kongring/kongring"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, m := range append(info.Deps, &info.Main) {
		if m.Path == module && m.Replace != nil {
			return strings.TrimSpace(m.Version + " replaced by " + m.Replace.Path + " " + m.Replace.Version)
		}
		if m.Path == module && m.Version != "" {
			return m.Version
		}
	}
	return "(devel)"
}
