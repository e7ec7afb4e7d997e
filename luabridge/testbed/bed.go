package testbed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/kongring/kongring/luabridge/host"
)

// Options say what stands in a bed.
type Options struct {
	Build    Build
	Dir      string // for everything that is written; short, since a socket lies in it
	Config   Config
	Host     host.Options // Prefix, Config, LuaPath and Env are filled in
	Args     []string     // more flags of the plugin server
	Carrier  string       // its flag -carrier, "" as it is by default
	NoServer bool         // the test starts the plugin server itself
	NoHost   bool         // the caller starts what runs the plugins, such as a Kong

	// Credential is that of the plugin server, where it is not this process's.
	Credential *syscall.Credential
}

// Config is the host's declarative file; see the package host.
type Config map[string]interface{}

// Bed is a running plugin server, nginx and upstream.
type Bed struct {
	Host     *host.Host // nil with NoHost
	Server   *Server
	Upstream *httptest.Server

	// Client is for requests to the host. Stop closes its connections first:
	// one that was opened and not used yet would keep a worker of nginx from
	// leaving for a minute (client_header_timeout).
	Client *http.Client

	options Options
}

// Start puts a bed up. The caller calls Stop.
func Start(ctx context.Context, o Options) (*Bed, error) {
	b := &Bed{
		options: o, Upstream: httptest.NewServer(http.HandlerFunc(echo)),
		Client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}},
	}
	if err := b.start(ctx); err != nil {
		return nil, errors.Join(err, b.Stop(ctx))
	}
	return b, nil
}

func (b *Bed) start(ctx context.Context) error {
	if !b.options.NoServer {
		if err := b.StartServer(ctx); err != nil {
			return err
		}
	}
	args := slices.Concat(b.options.Build.Args, []string{"-socket", b.Socket(), "-install", b.path("lua")})
	install := exec.CommandContext(ctx, b.options.Build.Server, args...)
	if out, err := install.CombinedOutput(); err != nil {
		return fmt.Errorf("install plugins: %w: %s", err, out)
	}
	if b.options.NoHost {
		return nil
	}
	if err := b.WriteConfig(b.options.Config); err != nil {
		return err
	}
	o := b.options.Host
	o.Prefix, o.Config = b.path("nginx"), b.path("kong.json")
	o.LuaPath = append(o.LuaPath, b.path("lua"), b.options.Build.LuaPath())
	env := map[string]string{"KONGRING_HELPER": b.options.Build.Library}
	for k, v := range o.Env {
		env[k] = v
	}
	o.Env = env
	var err error
	b.Host, err = host.Start(ctx, o)
	return err
}

// StartServer starts the plugin server, the first time or after its end.
func (b *Bed) StartServer(ctx context.Context) (err error) {
	args := b.options.Args
	if b.options.Carrier != "" {
		args = append([]string{"-carrier", b.options.Carrier}, args...)
	}
	args = slices.Concat(b.options.Build.Args, []string{"-socket", b.Socket()}, args)
	b.Server, err = startServer(ctx, b.options.Credential, b.options.Build.Server, b.Socket(), b.path("server.log"), args)
	return err
}

// WriteConfig writes the declarative file; UPSTREAM in it stands for the
// upstream's URL. A running host reads it at its next reload.
func (b *Bed) WriteConfig(c Config) error {
	text, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	text = []byte(strings.ReplaceAll(string(text), "UPSTREAM", b.Upstream.URL))
	return os.WriteFile(b.path("kong.json"), text, 0o644)
}

// Socket is the path of the plugin server's socket.
func (b *Bed) Socket() string { return SocketIn(b.options.Dir) }

// SocketIn is the path of the plugin server's socket in a bed with the given
// Dir.
func SocketIn(dir string) string { return filepath.Join(dir, "s") }

// LuaPath is the folder with the modules that the plugin server installed.
func (b *Bed) LuaPath() string { return b.path("lua") }

func (b *Bed) path(name string) string { return filepath.Join(b.options.Dir, name) }

// Stop ends everything. A second call does nothing.
func (b *Bed) Stop(ctx context.Context) error {
	var errs []error
	b.Client.CloseIdleConnections()
	if b.Host != nil {
		errs = append(errs, b.Host.Stop(ctx))
	}
	if b.Server != nil {
		select {
		case <-b.Server.ended:
		default:
			errs = append(errs, b.Server.Stop(ctx))
		}
		b.Server = nil
	}
	b.Upstream.Close()
	return errors.Join(errs...)
}

// echo is the upstream: it answers with what it got, the body as it is and the
// rest in headers.
func echo(w http.ResponseWriter, r *http.Request) {
	// Whole, before the answer begins: HTTP/1 in Go does not do both at once.
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("x-upstream-path", r.URL.RequestURI())
	w.Header().Set("x-upstream-method", r.Method)
	w.Header().Set("x-upstream-host", r.Host)
	w.Header().Set("x-upstream-type", r.Header.Get("Content-Type"))
	for name, values := range r.Header {
		if strings.HasPrefix(name, "X-") {
			w.Header()["X-Got-"+name[2:]] = values
		}
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = w.Write(body)
}

// Eventually looks at a condition until it holds, or gives an error that says
// what was waited for.
func Eventually(ctx context.Context, patience time.Duration, what string, holds func() bool) error {
	deadline := time.Now().Add(patience)
	for !holds() {
		if time.Now().After(deadline) {
			return fmt.Errorf("%s: not within %v", what, patience)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(look):
		}
	}
	return nil
}
