package server

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

// The flags of a plugin binary. They stand in flag.CommandLine, like go-pdk's,
// so that a plugin may add its own; StartServer parses them.
var (
	kongPrefix = flag.String("kong-prefix", "/usr/local/kong", "Kong's prefix: the socket is PREFIX/NAME.socket")
	dump       = flag.Bool("dump", false, "print what Kong asks a plugin server, as JSON, and end")
	socketPath = flag.String("socket", "", "path of the socket, instead of the one below -kong-prefix")
	carrier    = flag.String("carrier", "auto", "what carries the messages: auto (shared memory where the system grants it, else the socket) or socket")
	installDir = flag.String("install", "", "write the modules that Kong loads below this folder, and end")
	checkOnly  = flag.Bool("check", false, "look for faults in the plugin, print one line for each, and end with status 1 if there are any")
	logLevel   = flag.String("log-level", "", "least level of the server's own lines: debug, info, warn or error")
	help       = flag.Bool("help", false, "print this text and end")
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
	flag.Parse()
	if *help {
		flag.Usage()
		os.Exit(2)
	}
	name, err := binaryName()
	if err != nil {
		return fmt.Errorf("start plugin server: %w", err)
	}
	return Run(WithPlugin(name, constructor, version, priority), WithSocket(SocketPath(name)))
}

// SocketPath is where the flags -socket and -kong-prefix put the socket of a
// server with the given name.
func SocketPath(name string) string {
	if *socketPath != "" {
		return *socketPath
	}
	return filepath.Join(*kongPrefix, name+".socket")
}

// Run makes a server and serves until SIGTERM or SIGINT: then it takes no more
// events, waits for those under way, and gives nil. The flag -carrier=socket is
// [WithCarrier] with [CarrierSocket]. With the flag -dump it
// prints what Kong asks for, with -install it writes what Kong loads, with
// -check it does what [Check] does, and gives nil at once; where Check finds
// something, the process ends with status 1. -log-level is [WithLogLevel].
func Run(opts ...Option) error {
	switch *carrier {
	case "auto": // as the options say
	case "socket":
		opts = append(opts[:len(opts):len(opts)], WithCarrier(CarrierSocket))
	default:
		return fmt.Errorf("flag -carrier=%s: want auto or socket", *carrier)
	}
	if *logLevel != "" {
		opts = append(opts[:len(opts):len(opts)], WithLogLevel(*logLevel))
	}
	if *checkOnly {
		if !Check(os.Stdout, opts...) {
			os.Exit(1)
		}
		return nil
	}
	s, err := New(opts...)
	if err != nil {
		return err
	}
	if *dump {
		return s.Dump(os.Stdout)
	}
	if *installDir != "" {
		return s.Install(*installDir)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	return s.Serve(ctx)
}

// binaryName is the name of the running file, which names the plugin.
func binaryName() (string, error) {
	path, err := os.Executable()
	return filepath.Base(path), err
}

// Dump writes the description of the server's plugins that Kong reads from a
// plugin server's query command. The protocol that it names is the one of a Kong
// without the bridge, which the server speaks on the same socket.
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
	for _, p := range s.options.plugins {
		text.Plugins = append(text.Plugins, info{p.name, p.version, p.priority, p.phases, p.schema})
	}
	return json.NewEncoder(w).Encode(text)
}
