package server

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
)

// StartServer runs the plugin of this binary until SIGTERM or SIGINT, as
// go-pdk's function of the same name does. constructor gives a pointer to a new
// config struct with the defaults filled in; its methods Certificate, Rewrite,
// Access, Response, Preread and Log, each func(*pdk.PDK), are the handlers.
// version and priority are what Kong shows and sorts plugins by. The plugin is
// named like the binary.
//
// It gives nil after an orderly stop and after -dump, and an error when the
// server could not start or handlers did not return in time.
func StartServer(constructor func() interface{}, version string, priority int) error {
	parseFlags()
	name, err := binaryName()
	if err != nil {
		return fmt.Errorf("start plugin server: %w", err)
	}
	return Run(WithPlugin(name, constructor, version, priority), WithSocket(SocketPath(name)))
}

// SocketPath is where the flags -socket and -kong-prefix put the socket of a
// server with the given name. It reads the command line, unless the program has
// done so.
func SocketPath(name string) string {
	parseFlags()
	if *socketPath != "" {
		return *socketPath
	}
	return filepath.Join(*kongPrefix, name+".socket")
}

// Run makes a server and serves until SIGTERM or SIGINT: then it takes no more
// events, waits for those under way, and gives nil. It reads the command line,
// unless the program has done so; a fault in it ends the process with status 2.
//
// Where Kong has started it, by pluginserver_*_start_cmd, it goes on before that,
// up to 10 seconds, until the server that Kong starts at a reload has taken the
// socket over. It ends without a signal as well, if an nginx started it that is
// gone: once another server has taken its socket, or when nobody was attached for
// 10 seconds. The flag -watch-parent says so for any parent, or for none.
//
// The flag -carrier=socket is [WithCarrier] with [CarrierSocket], -log-level is
// [WithLogLevel], -log-format is [WithLogFormat] and the same for what the plugin
// writes by the packages log and log/slog, -metrics is [WithMetrics], -metrics-pprof
// is [WithMetricsPprof], -socket-group is [WithSocketGroup], -allow-user is [WithUser],
// -allow-uid is [WithUID], [Systemd] is always on, -plugin leaves one plugin of
// several. With -dump Run prints what Kong asks for, with -install it writes what
// Kong loads, with -version it prints the versions, with -check it does what
// [Check] does, and gives nil at once; where Check finds something, the process
// ends with status 1.
func Run(opts ...Option) error {
	parseFlags()
	opts = slices.Concat(opts, []Option{Systemd()}, flagOptions())
	if *checkOnly {
		if !Check(os.Stdout, opts...) {
			os.Exit(1)
		}
		return nil
	}
	if *logFormat != "" {
		tagPlugin(*logFormat) // before its constructor can write a line
	}
	s, err := New(opts...)
	if err != nil {
		return err
	}
	switch {
	case *showVersion:
		s.printVersions(os.Stdout)
		return nil
	case *dump:
		return s.Dump(os.Stdout)
	case *installDir != "":
		return s.Install(*installDir)
	}
	s.master = kongMaster()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	// Kong reads the log by a pipe. When its worker is gone, the next line must
	// not end the server. Not Ignore, which children would inherit.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	if parent := parentToWatch(*watchParent); parent != 0 {
		go s.outlive(ctx, parent, stop)
	}
	return s.Serve(ctx)
}

// binaryName is the name of the running file, which names the plugin.
func binaryName() (string, error) {
	path, err := os.Executable()
	return filepath.Base(path), err
}

// Dump writes the description of the server's plugins that Kong reads from a
// plugin server's query command. The protocol that it names is the one of a Kong
// without the bridge, which the server speaks on the same socket. Kong from 3.9
// on takes the first plugin of a dump alone, which is the one that the command is
// named like, if one is.
func (s *Server) Dump(w io.Writer) error {
	type info struct {
		Name     string
		Version  string
		Priority int
		Phases   []string
		Schema   map[string]interface{}
	}
	text := struct {
		Protocol   string
		SocketPath string
		Plugins    []info
	}{Protocol: "MsgPack:1", SocketPath: s.options.socket}
	plugins := slices.Clone(s.options.plugins)
	if i := slices.IndexFunc(plugins, func(p *plugin) bool { return p.name == command() }); i > 0 {
		plugins = slices.Insert(slices.Delete(plugins, i, i+1), 0, s.options.plugins[i])
	}
	for _, p := range plugins {
		text.Plugins = append(text.Plugins, info{p.name, p.version, p.priority, p.phases, p.schema})
	}
	return json.NewEncoder(w).Encode(text)
}
