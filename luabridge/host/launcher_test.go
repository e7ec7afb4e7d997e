package host

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

const plainConfig = `{"plugins": ["first"], "routes": [{"name": "r", "plugins": [{"name": "first"}]}]}`

// running says whether a process exists and has not ended.
func running(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return rest[0] != 'Z' && rest[0] != 'X'
}

func TestStartRunsWorkersAndAnswers(t *testing.T) {
	o := testOptions(t, plainConfig)
	o.Workers = 2
	h := startHost(t, o)

	pids, err := h.Workers()
	require.NoError(t, err)
	require.Len(t, pids, 2)
	require.NotContains(t, pids, h.MasterPID())
	require.Equal(t, 200, get(t, newClient(t), h.URL()+"/").status)

	select {
	case <-h.Done():
		require.Fail(t, "nginx has ended")
	default:
	}
}

func TestStartWritesOnlyBelowPrefix(t *testing.T) {
	h := startHost(t, testOptions(t, plainConfig))
	entries, err := os.ReadDir(h.options.Prefix)
	require.NoError(t, err)
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	for _, name := range []string{"nginx.conf", "nginx.pid", "error.log", "lua", "client_body_temp", "proxy_temp"} {
		require.Contains(t, names, name)
	}
}

func TestStartMakesPrefix(t *testing.T) {
	o := testOptions(t, plainConfig)
	o.Prefix = filepath.Join(o.Prefix, "a", "b")
	startHost(t, o)
}

func TestStartRejectsOptions(t *testing.T) {
	requireNginx(t)
	for name, change := range map[string]func(*Options){
		"no prefix":         func(o *Options) { o.Prefix = "" },
		"no config":         func(o *Options) { o.Config = "" },
		"negative workers":  func(o *Options) { o.Workers = -1 },
		"listen without :":  func(o *Options) { o.Listen = "127.0.0.1" },
		"prefix with space": func(o *Options) { o.Prefix = filepath.Join(o.Prefix, "a b") },
		"lua path with ;":   func(o *Options) { o.LuaPath = []string{"/a;/b"} },
		"log level":         func(o *Options) { o.LogLevel = "loud" },
	} {
		t.Run(name, func(t *testing.T) {
			o := testOptions(t, plainConfig)
			change(&o)
			_, err := Start(context.Background(), o)
			require.Error(t, err)
		})
	}
}

func TestStartWithoutNginx(t *testing.T) {
	o := testOptions(t, plainConfig)
	o.Nginx = "/no/such/nginx"
	_, err := Start(context.Background(), o)
	require.ErrorIs(t, err, ErrUnavailable)
}

func TestStartReportsLogOfFailedNginx(t *testing.T) {
	requireNginx(t)
	o := testOptions(t, plainConfig)
	o.ExtraServer = "no_such_directive on;"
	_, err := Start(context.Background(), o)
	require.ErrorIs(t, err, ErrExited)
	require.ErrorContains(t, err, `unknown directive "no_such_directive"`)
}

func TestStartOnTakenPort(t *testing.T) {
	requireNginx(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()

	o := testOptions(t, plainConfig)
	o.Listen = listener.Addr().String()
	_, err = Start(context.Background(), o)
	require.ErrorIs(t, err, syscall.EADDRINUSE)
	require.ErrorContains(t, err, o.Listen)
}

func TestStartCancelled(t *testing.T) {
	requireNginx(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := Start(ctx, testOptions(t, plainConfig))
	require.ErrorIs(t, err, context.Canceled)
}

func TestStopLeavesNoProcess(t *testing.T) {
	requireNginx(t)
	o := testOptions(t, plainConfig)
	o.Workers = 2
	h, err := Start(context.Background(), o)
	require.NoError(t, err)
	pids, err := h.Workers()
	require.NoError(t, err)

	var stops sync.WaitGroup
	for range 2 {
		stops.Go(func() { h.Stop(context.Background()) })
	}
	stops.Wait()
	require.NoError(t, h.Stop(context.Background()))
	for _, pid := range append(pids, h.MasterPID()) {
		require.False(t, running(pid), "process %d", pid)
	}
	pids, err = h.Workers()
	require.NoError(t, err)
	require.Empty(t, pids)
	require.ErrorIs(t, h.Reload(context.Background()), ErrExited)
}

func TestStopKillsWhatDoesNotEnd(t *testing.T) {
	requireNginx(t)
	o := testOptions(t, plainConfig)
	// Not cancelled when the worker should leave.
	o.ExtraInitWorker = `ngx.timer.at(0, function() while true do ngx.sleep(3600) end end)`
	h, err := Start(context.Background(), o)
	require.NoError(t, err)
	pids, err := h.Workers()
	require.NoError(t, err)

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.ErrorIs(t, h.Stop(ctx), context.Canceled)
	for _, pid := range append(pids, h.MasterPID()) {
		poll(t, "process is killed", func() bool { return !running(pid) })
	}
}

func TestDeadMasterTakesWorkersAlong(t *testing.T) {
	requireNginx(t)
	h, err := Start(context.Background(), testOptions(t, plainConfig))
	require.NoError(t, err)
	pids, err := h.Workers()
	require.NoError(t, err)

	require.NoError(t, syscall.Kill(h.MasterPID(), syscall.SIGKILL))
	<-h.Done()
	for _, pid := range pids {
		poll(t, "worker is killed", func() bool { return !running(pid) })
	}
	require.ErrorIs(t, h.Stop(context.Background()), ErrExited)
}

// orphanPrefix names the environment variable that makes this test binary
// start a host in the directory it contains, print its process ids and block.
const orphanPrefix = "KONGRING_HOST_TEST_ORPHAN"

func startOrphan() {
	dir := os.Getenv(orphanPrefix)
	h, err := Start(context.Background(), Options{
		Prefix: filepath.Join(dir, "prefix"),
		Config: filepath.Join(dir, "kong.json"),
	})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	pids, err := h.Workers()
	fmt.Println(append(pids, h.MasterPID()), err)
	select {}
}

func TestDeadParentTakesNginxAlong(t *testing.T) {
	requireNginx(t)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "kong.json"), []byte("{}"), 0o600))
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), orphanPrefix+"="+dir)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line := make([]byte, 1000)
	n, err := stdout.Read(line)
	require.NoError(t, err)
	list, _, _ := strings.Cut(strings.TrimPrefix(string(line[:n]), "["), "]")
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()

	fields := strings.Fields(list)
	require.Len(t, fields, 2, "printed %q", line[:n])
	for _, field := range fields {
		pid, err := strconv.Atoi(field)
		require.NoError(t, err)
		poll(t, "process has ended", func() bool { return !running(pid) })
	}
}

func TestTwoHostsAtOnce(t *testing.T) {
	config := `{"routes": [{"name": "r", "respond": {"body": "%s"}}]}`
	client := newClient(t)
	one := startHost(t, testOptions(t, fmt.Sprintf(config, "one")))
	two := startHost(t, testOptions(t, fmt.Sprintf(config, "two")))
	require.Equal(t, "one", get(t, client, one.URL()).body)
	require.Equal(t, "two", get(t, client, two.URL()).body)
	require.NoError(t, one.Stop(context.Background()))
	require.Equal(t, "two", get(t, client, two.URL()).body)
}

func TestReloadReadsTheFileAnew(t *testing.T) {
	o := testOptions(t, `{"routes": [{"name": "r", "respond": {"body": "old"}}]}`)
	h := startHost(t, o)
	client := newClient(t)
	before, err := h.Workers()
	require.NoError(t, err)
	require.Equal(t, "old", get(t, client, h.URL()).body)

	require.NoError(t, os.WriteFile(o.Config, []byte(`{"routes": [{"name": "r", "respond": {"body": "new"}}]}`), 0o600))
	require.NoError(t, h.Reload(context.Background()))
	after, err := h.Workers()
	require.NoError(t, err)
	require.Len(t, after, 1)
	require.NotEqual(t, before, after)
	// The connection that is kept open may be the old worker's.
	require.Equal(t, "new", get(t, newClient(t), h.URL()).body)
	poll(t, "old worker leaves", func() bool { return !running(before[0]) })
}

func TestReloadOfWrongFileKeepsWorkers(t *testing.T) {
	o := testOptions(t, plainConfig)
	h := startHost(t, o)
	before, err := h.Workers()
	require.NoError(t, err)

	require.NoError(t, os.WriteFile(o.Config, []byte(`{"routes": 7}`), 0o600))
	err = h.Reload(context.Background())
	require.ErrorContains(t, err, o.Config+": routes: expected array, got 7")
	after, err := h.Workers()
	require.NoError(t, err)
	require.Equal(t, before, after)
	require.Equal(t, 200, get(t, newClient(t), h.URL()).status)

	require.NoError(t, os.WriteFile(o.Config, []byte(plainConfig), 0o600))
	require.NoError(t, h.Reload(context.Background()))
}

func TestReloadRenewsTrustedAddresses(t *testing.T) {
	o := testOptions(t, `{"plugins": ["probe"], "global_plugins": [{"name": "probe"}]}`)
	h := &probeHost{Host: startHost(t, o), client: newClient(t)}
	c := call{path: "/", header: map[string][]string{"X-Real-IP": {"192.0.2.1"}}}
	code := `return kong.client.get_forwarded_ip(), kong.ip.is_trusted("127.0.0.1")`
	require.Equal(t, []any{"127.0.0.1", false}, h.eval(t, "rewrite", c, code))

	require.NoError(t, os.WriteFile(o.Config,
		[]byte(`{"trusted_ips": ["127.0.0.0/8"], "plugins": ["probe"], "global_plugins": [{"name": "probe"}]}`), 0o600))
	require.NoError(t, h.Reload(context.Background()))
	h.client = newClient(t)
	require.Equal(t, []any{"192.0.2.1", true}, h.eval(t, "rewrite", c, code))
}

func TestSequenceNumbersAreUnique(t *testing.T) {
	o := testOptions(t, `{
		"plugins": ["probe", "first"],
		"routes": [{"name": "r", "plugins": [{"name": "probe"}]}],
		"global_plugins": [{"name": "probe"}, {"name": "first"}]}`)
	o.Workers = 2
	o.ExtraInitWorker = `
		for _, conf in ipairs(require("kong.plugins.probe.handler").confs) do
			ngx.shared.results:set("seq " .. ngx.worker.pid() .. " " .. conf.__key__, conf.__seq__)
		end`
	o.ExtraServer = `location = /seqs { content_by_lua_block {
		for _, key in ipairs(ngx.shared.results:get_keys(0)) do
			if key:sub(1, 4) == "seq " then ngx.say(ngx.shared.results:get(key)) end
		end } }`
	h := startHost(t, o)
	client := newClient(t)
	seqs := func() []string { return strings.Fields(get(t, client, h.URL()+"/seqs").body) }

	require.Len(t, seqs(), 2*2)
	require.NoError(t, h.Reload(context.Background()))
	require.Len(t, seqs(), 2*2*2)
	unique := seqs()
	slices.Sort(unique)
	require.Len(t, slices.Compact(unique), 2*2*2)
}

func TestEnvironmentReachesWorkers(t *testing.T) {
	o := testOptions(t, "{}")
	value := `a "quoted" \ {value}; #`
	o.Env = map[string]string{"KONGRING_TEST_A": value, "KONGRING_TEST_B": "b"}
	o.ExtraServer = `location = /env { content_by_lua_block {
		ngx.print(os.getenv("KONGRING_TEST_A"), os.getenv("KONGRING_TEST_B")) } }`
	h := startHost(t, o)
	require.Equal(t, value+"b", get(t, newClient(t), h.URL()+"/env").body)
}

func TestExtraInitWorkerRunsAfterPlugins(t *testing.T) {
	o := testOptions(t, `{"plugins": ["probe"]}`)
	o.ExtraInitWorker = `ngx.shared.results:set("extra", ngx.shared.results:get("worker:init_worker"))`
	h := startHost(t, o)
	require.Contains(t, get(t, newClient(t), h.URL()+"/results?key=extra").body, "init_worker phase")
}

func TestLogLevelFilters(t *testing.T) {
	o := testOptions(t, `{"plugins": ["probe"]}`)
	o.LogLevel = "warn"
	h := startHost(t, o)
	text, err := h.ErrorLog()
	require.NoError(t, err)
	require.NotContains(t, text, "worker starts")
}

func TestClientAbortEndsRequest(t *testing.T) {
	o := testOptions(t, "{}")
	o.CheckClientAbort = true
	o.ExtraServer += `location = /wait { content_by_lua_block {
		ngx.on_abort(function() ngx.shared.results:set("aborted", "yes") ngx.exit(499) end)
		ngx.shared.results:set("waiting", "yes")
		ngx.sleep(3600) } }`
	h := startHost(t, o)
	client := newClient(t)
	result := func(key string) string { return get(t, client, h.URL()+"/results?key="+key).body }

	conn, err := net.Dial("tcp", h.Addr())
	require.NoError(t, err)
	_, err = conn.Write([]byte("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n"))
	require.NoError(t, err)
	poll(t, "request waits", func() bool { return result("waiting") == "yes" })
	require.NoError(t, conn.Close())
	poll(t, "request is aborted", func() bool { return result("aborted") == "yes" })
}

func TestLuaStringSurvivesLua(t *testing.T) {
	text := "a\"b\\c\nd{e}\x00é"
	o := testOptions(t, "{}")
	o.ExtraServer = `location = /text { content_by_lua_block { ngx.print(` + luaString(text) + `) } }`
	h := startHost(t, o)
	require.Equal(t, text, get(t, newClient(t), h.URL()+"/text").body)
}

func TestTrustedIPsSkipsWhatItCannotRead(t *testing.T) {
	list, err := json.Marshal(map[string]any{"trusted_ips": []string{"10.1.2.3/8", "::1", "nonsense", "fe80::1%eth0"}})
	require.NoError(t, err)
	prefixes := trustedIPs(writeFile(t, "kong.json", string(list)))
	require.Equal(t, "[10.0.0.0/8 ::1/128]", fmt.Sprint(prefixes))
	require.Empty(t, trustedIPs(writeFile(t, "kong.json", "{")))
	require.Empty(t, trustedIPs("/no/such/file"))
}
