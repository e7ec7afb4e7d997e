package doctor

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/luabridge"
	"github.com/kongring/kongring/server"
	"github.com/kongring/kongring/server/cmd/internal/exit"
	"github.com/kongring/kongring/server/pdk"
	"github.com/kongring/kongring/shm"
	"github.com/kongring/kongring/shm/leaktest"
)

// site is a folder with a Kong that doctor finds nothing wrong with.
type site struct {
	*testing.T
	dir string
}

type config struct{}

func (*config) Access(*pdk.PDK) {}

func TestMain(m *testing.M) { leaktest.VerifyTestMain(m) }

func newSite(t *testing.T) site {
	dir, err := os.MkdirTemp("", "kd") // short: a socket lies in it
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	s := site{t, dir}

	names, err := fs.Glob(luabridge.Modules(), "*.lua")
	require.NoError(t, err)
	for _, name := range names {
		text, err := fs.ReadFile(luabridge.Modules(), name)
		require.NoError(t, err)
		s.write("lua/kongring/"+name, string(text))
	}
	_, err = luabridge.BuildHelper("cc", s.path("lua/kongring"))
	require.NoError(t, err)

	plugins, err := server.New(
		server.WithPlugin("good", func() interface{} { return &config{} }, "1", 1), server.WithSocket(s.path("s")))
	require.NoError(t, err)
	require.NoError(t, plugins.Install(s.path("lua")))
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- plugins.Serve(ctx) }()
	t.Cleanup(func() { stop(); require.NoError(t, <-ended) })
	require.Eventually(t, func() bool { _, err := server.Inspect(s.path("s"), patience); return err == nil }, 10*patience, patience/1000)
	s.set("")
	return s
}

func (s site) path(name string) string { return filepath.Join(s.dir, name) }

func (s site) write(name, text string) {
	s.Helper()
	require.NoError(s, os.MkdirAll(filepath.Dir(s.path(name)), 0o755))
	require.NoError(s, os.WriteFile(s.path(name), []byte(text), 0o644))
}

// set writes Kong's settings, with more lines.
func (s site) set(more string) {
	s.write("k/.kong_env", fmt.Sprintf("# of a test\nplugins = bundled, good\nlua_package_path = %s/?.lua;;\nnginx_worker_processes = 1\nnginx_user = root\n%s\n", s.path("lua"), more))
}

// doctor runs the command.
func doctor(t *testing.T, args ...string) (findings []Finding, err error) {
	t.Helper()
	var out, text bytes.Buffer
	cmd := Command()
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetOut(&out)
	cmd.SetArgs(append(args, "--json"))
	err = cmd.ExecuteContext(context.Background())
	if out.Len() > 0 {
		require.NoError(t, json.Unmarshal(out.Bytes(), &findings))
	}
	require.NoError(t, (&report{findings}).print(&text))
	for _, f := range findings {
		require.Contains(t, text.String(), f.Found)
		require.Contains(t, text.String(), f.Fix)
		require.Equal(t, f.Level == OK, f.Fix == "", "%v", f)
	}
	return findings, err
}

// finds wants a finding, and the status that goes with it, and gives its fix.
func (s site) finds(level Level, check, text string) (fix string) {
	s.Helper()
	findings, err := doctor(s.T, "--prefix", s.path("k"))
	if level == Error || level == Warning {
		require.ErrorIs(s, err, exit.ErrFindings)
	}
	for _, f := range findings {
		if f.Level == level && f.Check == check && strings.Contains(f.Found, text) {
			return f.Fix
		}
	}
	require.Fail(s, "not found", "%s %s %q in %v", level, check, text, findings)
	return ""
}

func TestDoctorFindsNothing(t *testing.T) {
	s := newSite(t)
	s.finds(OK, "bridge", fmt.Sprintf("version %d.", shm.Version))
	s.finds(OK, "helper", "libkongring.so")
	s.finds(OK, "plugin", "good")
	s.finds(OK, "server", "0 workers")
	s.finds(OK, "memory", "memfd")
	findings, err := doctor(t, "-c", s.path("k/.kong_env"))
	for _, f := range findings {
		require.NotEqual(t, Error, f.Level, "%v", f)
	}
	if err != nil {
		require.ErrorIs(t, err, exit.ErrFindings) // of this machine
	}
}

func TestDoctorFindsWhatIsWrong(t *testing.T) {
	s := newSite(t)
	for setting, want := range map[string]struct {
		level        Level
		check, found string
	}{
		"plugins = good, missing":                              {Error, "plugin", "missing has no handler.lua"},
		"plugins = other\npluginserver_names = other":          {Warning, "plugin", "the stock way"},
		"lua_package_path = /nowhere/?.lua":                    {Error, "bridge", "not on Kong's Lua path"},
		"nginx_worker_processes = 100000":                      {Warning, "workers", "100000 workers"},
		"nginx_worker_processes = many":                        {Warning, "workers", `"many"`},
		"nginx_http_lua_check_client_abort = on # by somebody": {Error, "abort", "is on"},
		"nginx_http_lua_max_running_timers = 256":              {Warning, "timers", "256"},
	} {
		s.set(setting)
		s.finds(want.level, want.check, want.found)
	}
	s.set("")

	s.write("k/nginx-kong.conf", "http {\n  lua_max_running_timers 100;\n  lua_check_client_abort on;\n}")
	s.finds(Warning, "timers", "100")
	s.finds(Error, "abort", "is on")
	require.NoError(t, os.Remove(s.path("k/nginx-kong.conf")))

	layout, err := os.ReadFile(s.path("lua/kongring/layout.lua"))
	require.NoError(t, err)
	s.write("lua/kongring/layout.lua", strings.Replace(string(layout), "  APP = ", "  APP = 9", 1))
	s.finds(Error, "bridge", "this command is")
	s.write("lua/kongring/layout.lua", strings.Replace(string(layout), "HELPER_ABI = ", "HELPER_ABI = 9", 1))
	s.finds(Error, "helper", "the bridge wants 9")
	s.write("lua/kongring/layout.lua", "return {}")
	s.finds(Error, "bridge", "says no")
	s.write("lua/kongring/layout.lua", string(layout))
	s.write("lua/kongring/libkongring.so", "nonsense")
	s.finds(Error, "helper", "is no library")
	require.NoError(t, os.Remove(s.path("lua/kongring/libkongring.so")))
	s.finds(Error, "helper", "no such file")
	s.write("lua/kong/plugins/good/handler.lua", `return require("kongring.handler").new {}`)
	s.finds(Error, "plugin", "names no socket")
}

// at makes the plugin's server another.
func (s site) at(socket string) {
	s.write("lua/kong/plugins/good/handler.lua", fmt.Sprintf("return require(\"kongring.handler\").new {\n  socket = %q,\n}", socket))
}

func TestDoctorLooksAtServers(t *testing.T) {
	s := newSite(t)
	s.at(s.path("none"))
	s.finds(Error, "server", "nobody listens")
	s.at(s.path("k/.kong_env"))
	s.finds(Error, "server", "is no socket")

	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: s.path("stale"), Net: "unix"})
	require.NoError(t, err)
	stale.SetUnlinkOnClose(false)
	require.NoError(t, stale.Close())
	s.at(s.path("stale"))
	s.finds(Error, "server", "nobody listens")

	answer := make(chan []byte, 1)
	l, err := net.Listen("unix", s.path("odd"))
	require.NoError(t, err)
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.ReadFull(conn, make([]byte, shm.HelloSize))
			_, _ = conn.Write(<-answer)
			_ = conn.Close()
		}
	}()
	s.at(s.path("odd"))
	welcome := func(words ...uint32) []byte {
		b := make([]byte, shm.WelcomeSize)
		for i, w := range words {
			binary.LittleEndian.PutUint32(b[4*i:], w)
		}
		return b
	}
	answer <- welcome(shm.Magic, 99, 98, shm.WelcomeVersion)
	require.Contains(t, s.finds(Error, "server", "server 99.98"), "one version")
	answer <- welcome(shm.Magic, shm.Version, 0, shm.WelcomeDenied)
	s.finds(Error, "server", "refused")
	answer <- []byte("HTTP/1.1 400 Bad Request\r\n\r\n")
	s.finds(Error, "server", "EOF")

	silent, err := net.Listen("unix", s.path("silent"))
	require.NoError(t, err)
	defer silent.Close()
	s.at(s.path("silent"))
	s.finds(Error, "server", "no answer")
}

func TestDoctorBadInput(t *testing.T) {
	for _, args := range [][]string{
		{"--prefix", t.TempDir()}, {"-c", "/nowhere/kong.conf"}, {"argument"}, {"--prefix", "a", "-c", "b"},
	} {
		_, err := doctor(t, args...)
		status, line := exit.Status(err)
		require.Equal(t, exit.Usage, status, "%v: %v", args, err)
		require.NotEmpty(t, line)
	}
}

func TestKongsEnvironmentCounts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kong.conf")
	require.NoError(t, os.WriteFile(path, []byte("plugins = a # first\nprefix='/x'\n#prefix = /y\n"), 0o644))
	s, err := ofFile(path, nil)
	require.NoError(t, err)
	require.Equal(t, []string{"a"}, s.list("plugins"))
	s, err = ofFile(path, []string{"KONG_PLUGINS=b,c", "OTHER=1"})
	require.NoError(t, err)
	require.Equal(t, []string{"b", "c"}, s.list("plugins"))
	require.Equal(t, "/x", s["prefix"])
	require.Equal(t, "auto", s["nginx_worker_processes"])
}
