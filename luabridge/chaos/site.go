package chaos

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
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/kongring/kongring/luabridge/host"
	"github.com/kongring/kongring/luabridge/testbed"
)

// names are those of the plugin servers, of their sockets and of their plugins.
var names = []string{"east", "west"}

// limit is how long an event may take. Requests that ask for a handler without
// an end get their 504 then.
const limit = 3 * time.Second

// site is what stands: the plugin servers, nginx and the upstream.
type site struct {
	dir      string
	build    testbed.Build
	host     *host.Host
	upstream *httptest.Server

	mu      sync.Mutex
	servers map[string]*testbed.Server // the newest of each name
	tag     int                        // of the plugins' config
}

type object = map[string]interface{}

// newSite builds what runs and starts it. The caller calls stop, also after an
// error.
func newSite(ctx context.Context, o Options) (*site, error) {
	dir, err := os.MkdirTemp("", "kc") // short: sockets lie in it
	s := &site{dir: dir, servers: map[string]*testbed.Server{}}
	s.upstream = httptest.NewServer(http.HandlerFunc(echo))
	if err != nil {
		return s, err
	}
	if s.build, err = testbed.Compile(ctx, dir, "./luabridge/chaos/plugins", o.BuildFlags...); err != nil {
		return s, err
	}
	var path []string
	if o.Bridge != "" {
		path = append(path, o.Bridge)
	}
	path = append(path, s.path("lua"), s.build.LuaPath())
	for _, name := range names {
		// A name for the same file: the server is named by what it was run as.
		if err := os.Link(s.build.Server, s.path(name)); err != nil {
			return s, err
		}
		if err := s.startServer(ctx, name); err != nil {
			return s, err
		}
		if err := s.install(ctx, name); err != nil {
			return s, err
		}
	}
	if err := s.writeConfig(); err != nil {
		return s, err
	}
	s.host, err = host.Start(ctx, host.Options{
		Prefix: s.path("nginx"), Config: s.path("kong.json"), Workers: o.Workers, LuaPath: path,
		Env: map[string]string{"KONGRING_HELPER": s.build.Library},
		// nginx's own word on whose answer it is and who gave it.
		ExtraServer: "add_header x-asked $http_x_nonce always; add_header x-worker $pid always;",
	})
	return s, err
}

// install writes what nginx loads for the plugins of a server, with the limit of
// the run.
func (s *site) install(ctx context.Context, name string) error {
	out, err := exec.CommandContext(ctx, s.path(name), "-socket", s.socket(name), "-install", s.path("lua")).CombinedOutput()
	if err != nil {
		return fmt.Errorf("install plugins of %s: %w: %s", name, err, out)
	}
	for _, plugin := range []string{name, name + "-first"} {
		path := filepath.Join(s.path("lua"), "kong", "plugins", plugin, "handler.lua")
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		text = []byte(strings.Replace(string(text), "  socket =", fmt.Sprintf("  timeout = %g,\n  socket =", limit.Seconds()), 1))
		if err := os.WriteFile(path, text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// writeConfig writes the host's file, with a tag that is in the answers from the
// next reload on.
func (s *site) writeConfig() error {
	tag := strconv.Itoa(s.tag)
	var plugins, global []interface{}
	for _, name := range names {
		plugins = append(plugins, object{"name": name, "config": object{"tag": tag}})
		global = append(global, object{"name": name + "-first"})
	}
	text, err := json.Marshal(object{
		"plugins":        []string{"east", "east-first", "west", "west-first"},
		"services":       []interface{}{object{"name": "s", "url": s.upstream.URL}},
		"global_plugins": global,
		"routes": []interface{}{
			object{"name": "up", "paths": []string{"/up"}, "service": "s", "plugins": plugins},
			object{"name": "direct", "paths": []string{"/direct"}, "plugins": plugins},
		},
	})
	if err != nil {
		return err
	}
	return os.WriteFile(s.path("kong.json"), text, 0o644)
}

// newConfig changes the plugins' config; a reload makes it known.
func (s *site) newConfig() (tag int, err error) {
	s.mu.Lock()
	s.tag++
	tag = s.tag
	s.mu.Unlock()
	return tag, s.writeConfig()
}

// startServer starts the plugin server with a name: the first time, after its
// end, or to take over from the one that runs. args are more of its flags.
func (s *site) startServer(ctx context.Context, name string, args ...string) error {
	server, err := testbed.StartServer(ctx, s.path(name), s.socket(name), s.path(name+".log"), args...)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.servers[name] = server
	s.mu.Unlock()
	return nil
}

// server gives the newest plugin server with a name.
func (s *site) server(name string) *testbed.Server {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.servers[name]
}

// workers gives the process ids of nginx's workers.
func (s *site) workers() []int {
	pids, err := s.host.Workers()
	if err != nil {
		return nil // who asks waits for the full number
	}
	return pids
}

func (s *site) path(name string) string   { return filepath.Join(s.dir, name) }
func (s *site) socket(name string) string { return s.path(name + ".s") }

// stop ends everything in order, and looks for what is left: processes that know
// the folder, and sockets in it. The folder itself stays for who calls it.
func (s *site) stop(ctx context.Context) (errs error) {
	if s.host != nil { // it is nil where something before it did not start
		errs = errors.Join(errs, s.host.Stop(ctx))
	}
	for _, server := range s.servers {
		errs = errors.Join(errs, server.Stop(ctx))
	}
	s.upstream.Close()
	errs = errors.Join(errs, testbed.Eventually(ctx, patience, "no process is left", func() bool {
		return len(processesOf(s.dir)) == 0
	}))
	for _, name := range names {
		left, _ := filepath.Glob(s.socket(name) + "*")
		if len(left) > 0 {
			errs = errors.Join(errs, fmt.Errorf("files are left: %v", left))
		}
	}
	return errs
}

// echo is the upstream: it gives back the body and the headers that the plugins
// set.
func echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // its sender was cut off: nobody waits for an answer
	}
	for name, values := range r.Header {
		if strings.HasPrefix(name, "X-By-") {
			w.Header()["X-Got-"+strings.TrimPrefix(name, "X-By-")] = values
		}
	}
	_, _ = w.Write(body)
}
