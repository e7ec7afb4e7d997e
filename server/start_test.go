package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kongring/kongring/server"
	"github.com/kongring/kongring/server/pdk"
	"github.com/kongring/kongring/server/wire"
	"github.com/kongring/kongring/shm"
)

// Configs that are no plugins, or no usable ones.
type (
	mute      struct{ Name string }
	crooked   struct{}
	recursive struct {
		handling
		Children []recursive
	}
	funny struct {
		handling
		Inner struct {
			Hook func() `json:"hook"`
		}
	}
	oddKey struct {
		handling
		ByKey map[complex128]string
	}
	handling struct{}
)

func (*crooked) Access(*pdk.PDK) {}
func (*crooked) Log()            {}
func (handling) Access(*pdk.PDK) {}

func TestNewErrors(t *testing.T) {
	plugin := func(config interface{}) server.Option {
		return server.WithPlugin("p", func() interface{} { return config }, "1", 1)
	}
	good, socket := plugin(&scripted{}), server.WithSocket("s")
	for _, tc := range []struct {
		name string
		opts []server.Option
		says []string
	}{
		{"no plugin", []server.Option{socket}, []string{"a socket path and a plugin are needed"}},
		{"no socket", []server.Option{good}, []string{"a socket path and a plugin are needed"}},
		{"plugin twice", []server.Option{socket, good, good}, []string{"plugin p is given twice"}},
		{"no name", []server.Option{server.WithPlugin("", func() interface{} { return &scripted{} }, "1", 1)},
			[]string{`plugin ""`, "name and constructor are needed"}},
		{"no constructor", []server.Option{server.WithPlugin("p", nil, "1", 1)}, []string{`plugin "p"`, "are needed"}},
		{"no pointer", []server.Option{plugin(scripted{})}, []string{"plugin p", "server_test.scripted, want a pointer"}},
		{"nil", []server.Option{plugin(nil)}, []string{"plugin p", "<nil>, want a pointer"}},
		{"no handler", []server.Option{plugin(&mute{})}, []string{"plugin p", "*server_test.mute has no handler", "Certificate Rewrite Access Response Preread Log"}},
		{"handler of another type", []server.Option{plugin(&crooked{})},
			[]string{"plugin p", "method Log has the type func(*server_test.crooked), want func(*pdk.PDK)"}},
		{"config that contains itself", []server.Option{plugin(&recursive{})},
			[]string{"config of plugin p: field Children: type server_test.recursive contains itself"}},
		{"field of a type that Kong has not", []server.Option{plugin(&funny{})},
			[]string{"config of plugin p", "field Inner.Hook: type func() has no place in a Kong schema"}},
		{"key of a type that Kong has not", []server.Option{plugin(&oddKey{})},
			[]string{"field ByKey: type complex128"}},
		{"ring capacity", []server.Option{server.WithRingCapacity(3000)}, []string{"ring capacity 3000: want a power of two"}},
		{"ring too small", []server.Option{server.WithRingCapacity(512)}, []string{"ring capacity 512"}},
		{"message limit", []server.Option{server.WithMaxMessage(1023)}, []string{"message limit 1023: want 1 KiB to 1 GiB"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, err := server.New(tc.opts...)
			require.Nil(t, s)
			require.ErrorContains(t, err, "new plugin server: ")
			for _, text := range tc.says {
				require.ErrorContains(t, err, text)
			}
		})
	}
}

// newServer makes a server that is not started.
func newServer(t testing.TB, socket string, opts ...server.Option) *server.Server {
	t.Helper()
	s, err := server.New(append([]server.Option{
		server.WithSocket(socket), server.WithLogger(testLogger(t)), server.WithGrace(patience), obedient(),
	}, opts...)...)
	require.NoError(t, err)
	return s
}

func TestServeErrors(t *testing.T) {
	dir := filepath.Dir(socketPath(t))
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, []byte("mine"), 0o600))
	long := filepath.Join(dir, strings.Repeat("x", shm.MaxPath))
	for _, tc := range []struct {
		name, path, says string
		is               error
	}{
		{"path too long", long, fmt.Sprintf("socket path of %d bytes, the limit is 107", len(long)), nil},
		{"file in the way", file, "taken by something that is not a socket", nil},
		{"folder in the way", dir, "taken by something that is not a socket (d", nil},
		{"no folder", filepath.Join(dir, "none", "s"), filepath.Join(dir, "none"), fs.ErrNotExist},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := newServer(t, tc.path).Serve(t.Context())
			require.ErrorContains(t, err, tc.says)
			if tc.is != nil {
				require.ErrorIs(t, err, tc.is)
			}
		})
	}
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "mine", string(text))
}

// The next server gets the workers that attach from then on; the one before
// goes on with its own until it is stopped, and then leaves the socket alone.
func TestServeTakesOver(t *testing.T) {
	first, socket := start(t, obedient())
	before := attach(t, socket)
	instance := before.instance("scripted", `{}`)

	var log record
	second := newServer(t, socket, log.option())
	ended := serve(t.Context(), second)
	require.Eventually(t, func() bool { return len(log.lines(t, "listening")) == 1 }, patience, time.Millisecond)
	require.Len(t, log.lines(t, fmt.Sprintf("takes over the socket from pid %d", os.Getpid())), 1)
	after := attach(t, socket)
	after.instance("scripted", `{}`)
	require.EqualValues(t, 1, first.Stats().SessionsBegun)
	require.EqualValues(t, 1, second.Stats().SessionsBegun)
	require.Zero(t, first.Stats().Refused, "the look who is there")

	done, _ := before.expect(wire.TypeDone, before.event(1, instance))
	require.Equal(t, uint8(wire.StatusOK), done.Code)
	require.NoError(t, first.Close())
	attach(t, socket).instance("scripted", `{}`)
	require.NoError(t, second.Close())
	require.ErrorIs(t, within(t, ended), server.ErrServerClosed)
}

// Who hangs up without a word is no news, and who says half a word is.
func TestConnectionWithoutAWord(t *testing.T) {
	var log record
	s, socket := start(t, obedient(), server.WithLogger(
		slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))))
	for said, line := range []string{"connection without a word", "connection refused"} {
		peer, err := net.Dial("unix", socket)
		require.NoError(t, err)
		_, err = peer.Write(make([]byte, said))
		require.NoError(t, err)
		before := len(log.lines(t, line))
		require.NoError(t, peer.Close())
		require.Eventually(t, func() bool { return len(log.lines(t, line)) > before }, patience, time.Millisecond)
		require.EqualValues(t, said, s.Stats().Refused)
	}
	require.Len(t, log.lines(t, "connection refused"), 1)
}

// serve starts Serve and gives what will come of it.
func serve(ctx context.Context, s *server.Server) <-chan error {
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx) }()
	return ended
}

// listening waits until somebody answers on the socket.
func listening(t testing.TB, socket string) {
	t.Helper()
	require.Eventually(t, func() bool {
		_, err := server.Inspect(socket, patience)
		return err == nil
	}, patience, time.Millisecond)
}

func within[T any](t testing.TB, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		require.FailNow(t, "nothing happens")
	}
	return v
}

func TestStaleSocketIsReplaced(t *testing.T) {
	socket := socketPath(t)
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	require.NoError(t, err)
	dead.SetUnlinkOnClose(false)
	require.NoError(t, dead.Close())

	s := newServer(t, socket, server.WithSocketMode(0o600))
	ended := serve(context.Background(), s)
	listening(t, socket)
	info, err := os.Lstat(socket)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode().Perm())
	require.NoError(t, s.Close())
	require.ErrorIs(t, within(t, ended), server.ErrServerClosed)
	_, err = os.Lstat(socket)
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestServeAfterClose(t *testing.T) {
	socket := socketPath(t)
	s := newServer(t, socket)
	require.NoError(t, s.Close())
	require.NoError(t, s.Close())
	require.ErrorIs(t, s.Serve(t.Context()), server.ErrServerClosed)
	_, err := os.Lstat(socket)
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestServeWithAnEndedContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, newServer(t, socketPath(t)).Serve(ctx))
}

// At the end of its context a server refuses new events, instances and workers
// and waits for the events under way, whose calls are still answered.
func TestServeDrains(t *testing.T) {
	socket := socketPath(t)
	release := make(chan struct{})
	s, err := server.New(server.WithSocket(socket), server.WithGrace(patience), server.WithLogger(testLogger(t)),
		withScript(func(s *scripted, kong *pdk.PDK) {
			if s.Name != "slow" {
				return
			}
			<-release
			if _, err := kong.Request.GetPath(); err != nil {
				panic(err)
			}
		}))
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	ended := serve(ctx, s)
	listening(t, socket)
	w := attach(t, socket)
	quick := w.instance("scripted", `{}`)
	slow := w.running(s, 0, `{"name":"slow"}`)

	stop()
	for deadline := time.Now().Add(patience); ; {
		require.True(t, time.Now().Before(deadline))
		done, body := w.expect(wire.TypeDone, w.event(1, quick))
		if done.Code == wire.StatusOK {
			continue // the server has not noticed yet
		}
		require.Equal(t, uint8(wire.StatusShutdown), done.Code)
		require.Contains(t, string(body), "the plugin server stops")
		break
	}
	answer, body := w.startIn(2, "scripted", "other", `{"name":"late"}`)
	require.Equal(t, uint8(wire.StatusShutdown), answer.Code)
	require.Contains(t, string(body), "the plugin server stops")
	_, err = net.Dial("unix", socket)
	require.Error(t, err)
	require.Empty(t, ended)

	close(release)
	w.expect(wire.TypeCall, slow)
	w.answer(slow, []byte{0xc0})
	done, body := w.expect(wire.TypeDone, slow)
	require.Equal(t, uint8(wire.StatusOK), done.Code, "%s", body)
	w.hangUp()
	require.NoError(t, within(t, ended))
	require.ErrorIs(t, s.Serve(t.Context()), server.ErrServerClosed)
}

func TestCloseReportsHandlersThatStay(t *testing.T) {
	socket := socketPath(t)
	release := make(chan struct{})
	s, err := server.New(server.WithSocket(socket), server.WithGrace(time.Millisecond), server.WithLogger(testLogger(t)),
		withScript(func(*scripted, *pdk.PDK) { <-release }))
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	ended := serve(ctx, s)
	listening(t, socket)
	w := attach(t, socket)
	w.running(s, 0, `{}`)
	stop()
	require.ErrorContains(t, within(t, ended), "handlers still run after 1ms")
	require.ErrorContains(t, s.Close(), "handlers still run after 1ms")
	w.waitHangUp()
	close(release)
	require.Eventually(t, func() bool { return s.Close() == nil }, patience, time.Millisecond)
}

// playServerWithoutMemory serves where the system refuses shared segments.
func playServerWithoutMemory(string) error {
	signal.Ignore(syscall.SIGXFSZ)
	limit := unix.Rlimit{Cur: 4096, Max: 4096}
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	return server.StartServer(newEverything, "1.2.3", 77)
}

// play runs the test binary in a role and gives what it printed.
func play(t testing.TB, name, socket string, attr *syscall.SysProcAttr) (string, error) {
	t.Helper()
	cmd := command(name, socket)
	cmd.SysProcAttr = attr
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func command(name, socket string, args ...string) *exec.Cmd {
	// Not by its name: another user may not walk the folder that it is in.
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), role+"="+name, rolePath+"="+socket,
		"GORACE=atexit_sleep_ms=0") // it would wait a second at its end
	cmd.Dir = "/"
	return cmd
}

// playPlugin is the main function of a plugin.
func playPlugin(string) error {
	return server.StartServer(newEverything, "1.2.3", 77)
}

func TestStartServer(t *testing.T) {
	exe, err := os.Executable()
	require.NoError(t, err)
	name := filepath.Base(exe) // the plugin is named like its file

	var dumped struct {
		SocketPath string
		Plugins    []struct{ Name, Version string }
	}
	out, err := command("plugin", "", "-dump", "-kong-prefix", "/pre/fix").Output()
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(out, &dumped))
	require.Equal(t, "/pre/fix/"+name+".socket", dumped.SocketPath)
	require.Len(t, dumped.Plugins, 1)
	require.Equal(t, name, dumped.Plugins[0].Name)
	require.Equal(t, "1.2.3", dumped.Plugins[0].Version)

	dir := t.TempDir()
	require.NoError(t, command("plugin", "", "-install", dir).Run())
	require.FileExists(t, filepath.Join(dir, "kong", "plugins", name, "handler.lua"))

	err = command("plugin", "", "-help").Run()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, 2, exit.ExitCode())

	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		socket := socketPath(t)
		cmd := command("plugin", "", "-socket", socket)
		require.NoError(t, cmd.Start())
		t.Cleanup(func() { _ = cmd.Process.Kill() })
		listening(t, socket)
		w := attach(t, socket)
		w.instance(name, `{}`)
		require.NoError(t, cmd.Process.Signal(signal))
		w.waitDismissed()
		w.hangUp()
		require.NoError(t, cmd.Wait())
		_, err = os.Lstat(socket)
		require.ErrorIs(t, err, fs.ErrNotExist)
	}
}

// Where the system refuses shared memory, or the operator, workers are told so,
// and attach by the socket. The log says it once.
func TestMemoryIsRefused(t *testing.T) {
	exe, err := os.Executable()
	require.NoError(t, err)
	for _, tc := range []struct {
		name, role string
		args       []string
		reason     string
		warns      int
	}{
		{"system", "no memory", nil, "create segment of [0-9]+ bytes: fallocate: file too large", 1},
		{"operator", "plugin", []string{"-carrier", "socket"}, "the plugin server was told to use the socket", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			socket := socketPath(t)
			cmd := command(tc.role, "", append(tc.args, "-socket", socket)...)
			log := new(record)
			cmd.Stderr = log
			require.NoError(t, cmd.Start())
			t.Cleanup(func() { _ = cmd.Process.Kill() })
			listening(t, socket)
			require.Equal(t, tc.warns, strings.Count(log.String(), "WARN"), "before the first worker comes")
			for range 3 {
				_, err := shm.Dial(socket, shm.Hello{Kind: shm.HelloAttach, App: wire.Version}, patience)
				require.ErrorIs(t, err, shm.ErrRefused)
				require.Regexp(t, fmt.Sprintf("status %d: no shared memory: %s", shm.WelcomeNoMemory, tc.reason), err.Error())
			}
			w := attachSocket(t, socket)
			require.EqualValues(t, 1, w.instance(filepath.Base(exe), `{}`))
			stats, err := server.Inspect(socket, patience)
			require.NoError(t, err)
			require.Equal(t, "socket", stats.Sessions[0].Carrier)
			require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
			w.waitDismissed()
			w.hangUp()
			require.NoError(t, cmd.Wait())
			require.Len(t, regexp.MustCompile("(?m)WARN.*"+tc.reason).FindAllString(log.String(), -1), tc.warns, log)
			require.Equal(t, tc.warns, strings.Count(log.String(), "WARN"))
		})
	}
}

func TestUnknownCarrier(t *testing.T) {
	_, err := server.New(server.WithCarrier(7))
	require.ErrorContains(t, err, "carrier 7")
}

// playAttach attaches to a server and prints why it may not.
func playAttach(socket string) error {
	a, err := shm.Dial(socket, shm.Hello{Kind: shm.HelloAttach, App: wire.Version}, patience)
	if err != nil {
		return err
	}
	return a.Close()
}

func TestPeerCredentials(t *testing.T) {
	needRoot(t)
	const tries = 8
	as := asStranger()
	for _, tc := range []struct {
		name string
		opts []server.Option
		says string
	}{
		{"refused", nil, "uid 65534 may not attach"},
		{"another uid", []server.Option{server.WithUID(stranger - 1)}, "uid 65534 may not attach"},
		{"let in", []server.Option{server.WithUID(stranger)}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			log := new(record)
			s, socket := start(t, append(tc.opts, obedient(), log.option(), server.WithSocketMode(0o666))...)
			require.NoError(t, os.Chmod(filepath.Dir(socket), 0o755))
			for range tries {
				out, err := play(t, "attach", socket, as)
				if tc.says == "" {
					require.NoError(t, err, "%s", out)
					continue
				}
				require.Error(t, err)
				require.Contains(t, out, fmt.Sprintf("status %d: %s", shm.WelcomeDenied, tc.says))
			}
			refused := log.lines(t, "connection refused")
			if tc.says == "" {
				require.Empty(t, refused)
				require.EqualValues(t, tries, s.Stats().SessionsBegun)
				return
			}
			require.Len(t, refused, 1, "the others came too soon after it")
			require.Equal(t, tc.says, refused[0]["reason"])
			require.Contains(t, refused[0]["peer"], "uid 65534")
			require.EqualValues(t, tries, s.Stats().Refused)
			require.EqualValues(t, tries, s.Stats().Denied)
			require.Zero(t, s.Stats().SessionsBegun)
		})
	}
}

// everything has a field of each kind that a schema knows.
type everything struct {
	Text     string            `json:"text"`
	Flag     bool              `json:"flag,omitempty"`
	Number   float32           `json:"number"`
	Integer  int64             `json:"integer"`
	Unsigned uint8             `json:"unsigned"`
	List     []string          `json:"list"`
	Map      map[string]int    `json:"map"`
	Record   struct{ A *bool } `json:"record"`
	NoTag    string
	Hidden   func() `json:"-"`
	private  chan int
}

func (*everything) Access(*pdk.PDK)      {}
func (*everything) Log(*pdk.PDK)         {}
func (*everything) Certificate(*pdk.PDK) {}

func newEverything() interface{} { return &everything{private: nil} }

const everythingSchema = `{"name":"every-thing","fields":[{"config":{"type":"record","required":true,"fields":[
	{"text":{"type":"string"}},
	{"flag":{"type":"boolean"}},
	{"number":{"type":"number"}},
	{"integer":{"type":"integer"}},
	{"unsigned":{"type":"integer","between":[0,255]}},
	{"list":{"type":"array","elements":{"type":"string"}}},
	{"map":{"type":"map","keys":{"type":"string"},"values":{"type":"integer"}}},
	{"record":{"type":"record","fields":[{"a":{"type":"boolean"}}]}},
	{"notag":{"type":"string"}}
]}}]}`

// installedSchema has the options of the bridge besides.
var installedSchema = strings.TrimSuffix(everythingSchema, "]}}]}") + `,
	{"kongring":{"type":"record",
		"description":"How the bridge runs this plugin entity; what is not set is as the plugin's handler.lua says.",
		"fields":[
		{"failure_policy":{"type":"string","one_of":["closed","open"],
			"description":"While the plugin server is out of reach: closed answers 503, open lets requests go on without the plugin."}},
		{"timeout":{"type":"number","between":[0.001,600],
			"description":"Seconds that one event, a phase of a request, may take."}},
		{"carrier":{"type":"string","one_of":["auto","ring","socket"],
			"description":"What carries the messages: ring is shared memory, auto is that or the socket where it is refused."}}]}}]}}]}`

func TestDump(t *testing.T) {
	s, err := server.New(server.WithSocket("/some/where.socket"),
		server.WithPlugin("every-thing", newEverything, "1.2.3", 77),
		server.WithPlugin("p", func() interface{} { return &struct{ handling }{} }, "0", -1))
	require.NoError(t, err)
	var b bytes.Buffer
	require.NoError(t, s.Dump(&b))
	require.JSONEq(t, `{"Protocol":"MsgPack:1","SocketPath":"/some/where.socket","Plugins":[
		{"Name":"every-thing","Version":"1.2.3","Priority":77,"Phases":["certificate","access","log"],"Schema":`+everythingSchema+`},
		{"Name":"p","Version":"0","Priority":-1,"Phases":["access"],
		 "Schema":{"name":"p","fields":[{"config":{"type":"record","required":true,"fields":[]}}]}}
	]}`, b.String())
}

func TestInstall(t *testing.T) {
	dir := t.TempDir()
	s, err := server.New(server.WithSocket(`/some/"odd\ place.socket`),
		server.WithPlugin("every-thing", newEverything, "1.2.3", 77))
	require.NoError(t, err)
	for range 2 { // over an older one, too
		require.NoError(t, s.Install(dir))
	}
	folder := filepath.Join(dir, "kong", "plugins", "every-thing")
	files, err := os.ReadDir(folder)
	require.NoError(t, err)
	require.Len(t, files, 2)

	schema, err := os.ReadFile(filepath.Join(folder, "schema.lua"))
	require.NoError(t, err)
	_, text, found := strings.Cut(string(schema), "[==[")
	require.True(t, found)
	text, _, found = strings.Cut(text, "]==]")
	require.True(t, found)
	require.JSONEq(t, installedSchema, text)

	luajit, err := exec.LookPath("luajit")
	if err != nil {
		t.Skip("no luajit here: ", err)
	}
	// What the two modules give, with stubs in the place of the bridge and of
	// cjson, as one JSON text.
	script := filepath.Join(dir, "load.lua")
	require.NoError(t, os.WriteFile(script, []byte(`
package.path = arg[1] .. "/?.lua"
package.preload["kongring.handler"] = function() return { new = function(t) return t end } end
package.preload["cjson"] = function() return { decode = function(text) return text end } end
local h = require("kong.plugins.every-thing.handler")
local function quote(s) return '"' .. s:gsub('[\\"]', '\\%0') .. '"' end
local phases = {}
for i, p in ipairs(h.phases) do phases[i] = quote(p) end
io.write('{"name":', quote(h.name), ',"version":', quote(h.version), ',"priority":', h.priority,
  ',"socket":', quote(h.socket), ',"phases":[', table.concat(phases, ","), '],"schema":',
  require("kong.plugins.every-thing.schema"), '}')
`), 0o600))
	out, err := exec.Command(luajit, script, dir).Output()
	require.NoError(t, err)
	require.JSONEq(t, `{"name":"every-thing","version":"1.2.3","priority":77,
		"socket":"/some/\"odd\\ place.socket","phases":["certificate","access","log"],"schema":`+installedSchema+`}`, string(out))
}

func TestInstallErrors(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "kong"), nil, 0o600))
	err := newServer(t, "s").Install(dir)
	require.ErrorContains(t, err, "install plugin scripted: ")
	require.ErrorIs(t, err, unix.ENOTDIR)

	type endsItsText struct {
		handling
		A string `json:"]==]"`
	}
	s, err := server.New(server.WithSocket("s"),
		server.WithPlugin("p", func() interface{} { return &endsItsText{} }, "1", 1))
	require.NoError(t, err)
	require.ErrorContains(t, s.Install(t.TempDir()), `contains "]==]"`)
}

func TestInspect(t *testing.T) {
	s, socket := start(t, obedient())
	w := attach(t, socket)
	calls := w.instance("scripted", `{"name":"calls"}`)
	w.oneEvent(0, calls)
	require.Eventually(t, func() bool {
		return s.Stats().Sessions[0].Server.EventsDone == 1
	}, patience, time.Millisecond)
	for i, f := range wire.WorkerCountersAt(w.a.Segment.Region(wire.RegionWorkerCounters)).Words() {
		if i != int(wire.LogLevelWord) { // nothing is dropped until the worker says so
			require.Zero(t, f)
		}
	}
	wire.WorkerCountersAt(w.a.Segment.Region(wire.RegionWorkerCounters)).Words()[0] = 0x7ff8 << 48 // NaN

	stats, err := server.Inspect(socket, patience)
	require.NoError(t, err)
	require.Len(t, stats.Sessions, 1)
	require.Equal(t, os.Getpid(), stats.Sessions[0].PID)
	require.EqualValues(t, 1, stats.Sessions[0].Server.Events)
	require.EqualValues(t, -1, stats.Sessions[0].Bridge.FramesIn, "JSON has no NaN")
	text, err := json.Marshal(stats)
	require.NoError(t, err)
	require.Contains(t, string(text), `"SessionsBegun":1`)

	_, err = server.Inspect(socketPath(t), patience)
	require.ErrorContains(t, err, "inspect: attach to")
}
