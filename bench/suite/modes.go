package suite

import (
	"bytes"
	"context"
	"fmt"
	"image/color"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/kongring/kongring/luabridge/host"
	"github.com/kongring/kongring/luabridge/testbed"
)

// mode is one way to run the plugin.
type mode struct {
	name   string
	plugin string   // that Kong loads
	server bool     // whether it needs the plugin server
	rings  bool     // whether workers attach to it
	args   []string // of the server
	http   bool     // measured with whole requests
	event  bool     // measured event by event
	extra  bool     // measured only where it is named; see Plan.Modes
	meters bool     // the server counts for metrics; nobody asks for them
	label  string   // in the picture
	colour color.Color
}

// modes are all of them, in the order of the tables. Ratios are to the first.
var modes = []mode{
	{
		name: "lua", plugin: "calls-lua", http: true, event: true,
		label: "the plugin in Lua", colour: color.RGBA{R: 0x88, G: 0x88, B: 0x88, A: 0xff},
	},
	{
		name: "ring", plugin: "calls", server: true, rings: true, http: true, event: true,
		label: "the plugin in Go, kongring", colour: color.RGBA{R: 0x00, G: 0x6d, B: 0xb3, A: 0xff},
	},
	{
		name: "ring-sync", plugin: "calls", server: true, rings: true, args: []string{"-sync"}, event: true,
	},
	{
		name: "socket", plugin: "calls", server: true, rings: true, args: []string{"-carrier", "socket"},
		http: true, event: true,
		label: "the plugin in Go, kongring without shared memory", colour: color.RGBA{R: 0x00, G: 0x9e, B: 0x73, A: 0xff},
	},
	{
		name: "stock", plugin: "calls-stock", server: true, args: []string{"-sync"}, http: true, event: true,
		label: "the plugin in Go, Kong's stock way", colour: color.RGBA{R: 0xd5, G: 0x5e, B: 0x00, A: 0xff},
	},
}

// extras are modes beside those of every run, to be compared with mode ring.
var extras = []mode{
	{
		name: "ring-metrics", plugin: "calls", server: true, rings: true, http: true, event: true, extra: true, meters: true,
		label: "the plugin in Go, kongring with metrics", colour: color.RGBA{R: 0xcc, G: 0x79, B: 0xa7, A: 0xff},
	},
}

// Modes are the names of all that Plan.Modes may have.
func Modes() (names []string) {
	for _, m := range slices.Concat(modes, extras) {
		names = append(names, m.name)
	}
	return names
}

// modes are those of the plan, in the order of the tables.
func (p Plan) modes() []mode {
	if p.Modes == nil {
		return modes
	}
	return slices.DeleteFunc(slices.Concat(modes, extras), func(m mode) bool { return !slices.Contains(p.Modes, m.name) })
}

// kinds are those that the plugin calls knows.
var kinds = []string{"header", "getters", "setter", "log", "mix"}

// route is one of the configuration, with one plugin and an answer from Lua.
func route(path, plugin string, config map[string]interface{}) map[string]interface{} {
	return map[string]interface{}{
		"name": filepath.Base(path), "paths": []string{path},
		"respond": map[string]interface{}{"status": 200, "body": "ok", "content_type": "text/plain"},
		"plugins": []interface{}{map[string]interface{}{"name": plugin, "config": config}},
	}
}

// loop is a route on which calls-loop runs a plugin over and over.
func (r *run) loop(path, plugin, kind string, n int) map[string]interface{} {
	return route(path, "calls-loop", map[string]interface{}{
		"plugin": plugin, "seconds": r.eventSeconds, "n": n, "kind": kind,
	})
}

// withBed runs f while nginx, and the plugin server if the mode has one, stand.
func (r *run) withBed(ctx context.Context, m mode, plugin string, routes []interface{}, f func(*testbed.Bed) error) error {
	return r.withPlugins(ctx, m, []string{plugin}, routes, f)
}

// withPlugins is withBed with several plugins.
func (r *run) withPlugins(ctx context.Context, m mode, plugins []string, routes []interface{}, f func(*testbed.Bed) error) error {
	return r.withHost(ctx, m, host.Options{}, plugins, routes, f)
}

// withHost is withPlugins with options of the host.
func (r *run) withHost(ctx context.Context, m mode, o host.Options, plugins []string, routes []interface{}, f func(*testbed.Bed) error) (err error) {
	dir, err := os.MkdirTemp(r.dir, "")
	if err != nil {
		return err
	}
	// Without OpenResty's patches nginx warns at each ngx.sleep(0), of which
	// there is one for each turn of its loop: a line in a file costs more than
	// the turn.
	o.LogLevel = "error"
	o.LuaPath = []string{r.lua}
	o.Env = map[string]string{"KONGRING_BENCH_SOCKET": testbed.SocketIn(dir)} // for calls-stock
	args := m.args
	if m.meters {
		args = append(slices.Clone(args), "-metrics", "unix:"+filepath.Join(dir, "m"))
	}
	bed, err := testbed.Start(ctx, testbed.Options{
		Build: r.build, Dir: dir, NoServer: !m.server, Args: args, Host: o,
		Config: testbed.Config{"plugins": plugins, "routes": routes},
	})
	if err != nil {
		return err
	}
	defer func() {
		// Not ctx: what was started is ended also after Ctrl-C.
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
		defer cancel()
		if e := bed.Stop(end); err == nil {
			err = e
		}
	}()
	if err := f(bed); err != nil {
		log, _ := bed.Host.ErrorLog()
		if bed.Server != nil {
			log = bed.Server.Log() + log
		}
		return fmt.Errorf("%w\nlogs:\n%s", err, log)
	}
	return nil
}

// get sends one request and gives its body; any status but 200 is an error.
func get(ctx context.Context, b *testbed.Bed, path string) (string, error) {
	return send(ctx, b, http.MethodGet, path, nil)
}

// send is get with a method and a body.
func send(ctx context.Context, b *testbed.Bed, method, path string, body []byte) (string, error) {
	request, err := http.NewRequestWithContext(ctx, method, b.Host.URL()+path, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	for _, h := range headers {
		request.Header.Set(h, value)
	}
	answer, err := b.Client.Do(request)
	if err != nil {
		return "", err
	}
	return readAnswer(answer)
}
