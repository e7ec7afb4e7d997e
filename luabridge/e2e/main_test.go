package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/luabridge/host"
	"github.com/kongring/kongring/luabridge/testbed"
)

// patience bounds every wait of these tests.
const patience = 30 * time.Second

var build testbed.Build

func TestMain(m *testing.M) {
	becomeContained()
	if err := host.Available(); err != nil {
		fmt.Println("skipped: ", err)
		return
	}
	dir, err := os.MkdirTemp("", "kongring-e2e-")
	if err == nil {
		err = os.Chmod(dir, 0o755) // other users run what is in it
	}
	if err == nil {
		build, err = testbed.Compile(context.Background(), dir, "./luabridge/e2e/probe")
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// bed is a testbed with the plugins early (global) and probe on /probe, which
// leads to the upstream, and on /direct, which nginx answers.
type bed struct {
	*testbed.Bed
	t   *testing.T
	ctx context.Context
}

type object = map[string]interface{}

func config(probe object) testbed.Config {
	plugins := []interface{}{object{"name": "probe", "config": probe}}
	return testbed.Config{
		"plugins":        []string{"probe", "early"},
		"services":       []interface{}{object{"name": "s", "url": "UPSTREAM"}},
		"global_plugins": []interface{}{object{"name": "early"}},
		"routes": []interface{}{
			object{"name": "p", "paths": []string{"/probe"}, "service": "s", "strip_path": false, "plugins": plugins},
			object{"name": "d", "paths": []string{"/direct"}, "plugins": plugins},
			object{"name": "none", "paths": []string{"/none"}},
		},
	}
}

// carrier is the flag of the plugin servers that start starts.
var carrier string

// overSocket makes the beds of a test use the socket.
func overSocket(t *testing.T) {
	carrier = "socket"
	t.Cleanup(func() { carrier = "" })
}

// shortDir is a folder for a bed: its path is short, since a socket lies in it.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "kr")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

// start puts a bed up until the test ends. change alters its options.
func start(t *testing.T, change func(*testbed.Options)) *bed {
	t.Helper()
	b, err := tryStart(t, change)
	require.NoError(t, err)
	return b
}

// tryStart is start for what this machine may lack.
func tryStart(t *testing.T, change func(*testbed.Options)) (*bed, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	dir, err := os.MkdirTemp("", "kr") // short: a socket lies in it
	require.NoError(t, err)
	o := testbed.Options{Build: build, Dir: dir, Config: config(nil), Carrier: carrier}
	if change != nil {
		change(&o)
	}
	if confined {
		confine(t, &o)
	}
	b, err := testbed.Start(ctx, o)
	t.Cleanup(func() {
		if err == nil {
			require.NoError(t, b.Stop(ctx))
		}
		require.NoError(t, os.RemoveAll(dir))
		cancel()
	})
	return &bed{Bed: b, t: t, ctx: ctx}, err
}

// handlerOf writes a handler of the access phase for the plugin probe with more
// options than -install knows, in front of the one that it wrote.
func handlerOf(t *testing.T, o *testbed.Options, more string) { handlerIn(t, o, "access", more) }

// handlerIn is handlerOf for another phase.
func handlerIn(t *testing.T, o *testbed.Options, phase, more string) {
	t.Helper()
	dir := filepath.Join(o.Dir, "front", "kong", "plugins", "probe")
	require.NoError(t, os.MkdirAll(dir, 0o755))
	text := fmt.Sprintf(`return require("kongring.handler").new {
  name = "probe", version = "0.1", priority = 10, phases = { %q },
  socket = %q, %s
}`, phase, filepath.Join(o.Dir, "s"), more)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "handler.lua"), []byte(text), 0o644))
	o.Host.LuaPath = []string{filepath.Join(o.Dir, "front")}
}

// schemaOf writes a schema for the plugin probe, with the given declaration of
// its config, in front of the one that -install wrote.
func schemaOf(t *testing.T, o *testbed.Options, config string) {
	t.Helper()
	dir := filepath.Join(o.Dir, "front", "kong", "plugins", "probe")
	require.NoError(t, os.MkdirAll(dir, 0o755))
	text := `return { name = "probe", fields = { { config = ` + config + ` } } }`
	require.NoError(t, os.WriteFile(filepath.Join(dir, "schema.lua"), []byte(text), 0o644))
	o.Host.LuaPath = []string{filepath.Join(o.Dir, "front")}
}

// patched makes the host run a copy of the bridge, in which a text of one of its
// modules is another.
func patched(t *testing.T, o *testbed.Options, module, from, to string) {
	t.Helper()
	front := filepath.Join(o.Dir, "front")
	if _, err := os.Stat(filepath.Join(front, "kongring")); err != nil { // not patched yet
		require.NoError(t, os.CopyFS(filepath.Join(front, "kongring"), os.DirFS(filepath.Join(build.LuaPath(), "kongring"))))
	}
	path := filepath.Join(front, "kongring", module)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(text), from)
	require.NoError(t, os.WriteFile(path, []byte(strings.Replace(string(text), from, to, 1)), 0o644))
	o.Host.LuaPath = []string{front}
}

// reply is what came back for a request.
type reply struct {
	status int
	header http.Header
	body   string
}

// try sends a request; headers are names and values in turn.
func (b *bed) try(path string, body []byte, headers ...string) (reply, error) {
	method := http.MethodGet
	if body != nil {
		method = http.MethodPost
	}
	r, err := http.NewRequestWithContext(b.ctx, method, b.Host.URL()+path, bytes.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	response, err := b.Client.Do(r)
	if err != nil {
		return reply{}, err
	}
	text, err := io.ReadAll(response.Body)
	return reply{response.StatusCode, response.Header, string(text)}, errors.Join(err, response.Body.Close())
}

// do sends a request for a deed of the plugin probe.
func (b *bed) do(deed string) reply {
	b.t.Helper()
	r, err := b.try("/direct", nil, "x-do", deed)
	require.NoError(b.t, err)
	return r
}

// answers checks that the whole path works.
func (b *bed) answers() {
	b.t.Helper()
	r := b.do("nothing")
	require.Equal(b.t, 200, r.status, r.body)
}

// log is what nginx and the plugin server wrote so far.
func (b *bed) log() string {
	text, err := b.Host.ErrorLog()
	require.NoError(b.t, err)
	if b.Server != nil {
		text += b.Server.Log()
	}
	return text
}

// logged waits for a line in nginx's error log, or in the plugin server's, that
// matches.
func (b *bed) logged(pattern string) string {
	b.t.Helper()
	match := regexp.MustCompile(pattern)
	line := ""
	b.eventually("a log line "+pattern, func() bool {
		line = match.FindString(b.log())
		return line != ""
	})
	return line
}

func (b *bed) eventually(what string, holds func() bool) {
	b.t.Helper()
	err := testbed.Eventually(b.ctx, patience, what, holds)
	if err != nil {
		text, _ := b.Host.ErrorLog()
		lines := strings.Split(text, "\n")
		require.NoError(b.t, err, "%s", strings.Join(lines[max(0, len(lines)-20):], "\n"))
	}
}
