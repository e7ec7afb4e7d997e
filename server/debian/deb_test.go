package debian

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/luabridge/host"
	"github.com/kongring/kongring/luabridge/testbed"
	"github.com/kongring/kongring/server/wire"
	"github.com/kongring/kongring/shm"
)

const (
	patience = 5 * time.Minute

	version = "1.2.3~test"
	epoch   = "1700000000"
)

// A process of this binary with these in its environment is the one that
// installs the package, see copied.
const (
	envPackage = "KONGRING_TEST_DEB"
	envPlugin  = "KONGRING_TEST_PLUGIN"
)

func TestMain(m *testing.M) {
	if deb := os.Getenv(envPackage); deb != "" {
		os.Exit(copied(deb, os.Getenv(envPlugin)))
	}
	dir, err := os.MkdirTemp("", "kongring-deb-")
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	folder = dir
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// folder is where the package is that most tests look at, once it was built.
var folder string

// built gives the package, which is made once.
func built(t *testing.T) (deb string) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(folder, "*.deb"))
	require.NoError(t, err)
	if len(found) == 1 {
		return found[0]
	}
	return build(t, folder)
}

func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("skipped: %s is not installed", p)
		}
	}
}

// build makes the package in a folder, with more in its environment.
func build(t *testing.T, folder string, env ...string) (deb string) {
	t.Helper()
	need(t, "dpkg-deb", "make", "cc", "strip")
	if testing.Short() {
		t.Skip("skipped: it builds the package")
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "./build", folder)
	cmd.Env = append(os.Environ(), append([]string{"VERSION=" + version, "SOURCE_DATE_EPOCH=" + epoch}, env...)...)
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	require.NoError(t, err, said.String())
	return strings.TrimSpace(string(out))
}

// Another folder, another time zone, another language: the same bytes.
func TestPackageIsReproducible(t *testing.T) {
	one, err := os.ReadFile(built(t))
	require.NoError(t, err)
	other, err := os.ReadFile(build(t, t.TempDir(), "TMPDIR="+t.TempDir(), "TZ=Asia/Tokyo", "LC_ALL=C.UTF-8"))
	require.NoError(t, err)
	require.True(t, string(one) == string(other), "two builds differ")
}

// The version of a package without VERSION is the tag's, in Debian's order.
func TestVersionOfThePackage(t *testing.T) {
	need(t, "git", "dpkg")
	script, err := os.ReadFile("build")
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(script), "\nversion() {")
	require.True(t, found)
	function, _, found := strings.Cut(rest, "\n}\n")
	require.True(t, found)
	source := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(source, "luabridge/kongring"), 0o755))
	layout, err := os.ReadFile("../../luabridge/kongring/layout.lua")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(source, "luabridge/kongring/layout.lua"), layout, 0o644))
	shell := func(command string) string {
		cmd := exec.Command("sh", "-euc", command)
		cmd.Dir = source
		cmd.Env = append(os.Environ(), "TZ=UTC", "GIT_DIR="+source+"/.git", "GIT_CONFIG_GLOBAL=/dev/null",
			"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@b", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@b", "GIT_COMMITTER_DATE=2026-01-02T00:00:00Z")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		return strings.TrimSpace(string(out))
	}
	none := fmt.Sprintf("0~%d.%d", shm.Version, wire.Version)
	last := ""
	for _, step := range []struct{ prepare, want string }{
		{"true", none},
		{"git init -q && git commit -q --allow-empty -m a", none + `\+20260102\.g[0-9a-f]+`},
		{"git tag v1.0.0-rc1", "1.0.0~rc1"},
		{"git tag -d v1.0.0-rc1 && git tag v1.0.0", "1.0.0"},
		{"git commit -q --allow-empty -m b", `1.0.0\+1\.g[0-9a-f]+`},
		{"git tag v1.0.1", "1.0.1"},
	} {
		shell(step.prepare)
		got := shell("version() {" + function + "\n}\nversion")
		require.Regexp(t, "^"+step.want+"$", got)
		if last != "" {
			shell(fmt.Sprintf("dpkg --compare-versions %s gt %s", got, last))
		}
		last = got
	}
}

// Debian's own check has nothing to say, but for what is justified in
// lintian-overrides.
func TestPackageIsClean(t *testing.T) {
	need(t, "lintian")
	deb := built(t)
	args := []string{"--fail-on=error,warning", "--tag-display-limit=0"}
	if os.Getuid() == 0 {
		args = append(args, "--allow-root")
	}
	out, err := exec.Command("lintian", append(args, deb)...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Empty(t, string(out))
}

// The package is installed, used, removed and purged in a copy of this machine's
// files, and leaves nothing behind.
func TestInstallAndPurge(t *testing.T) {
	need(t, "dpkg", "nginx")
	if err := host.Available(); err != nil {
		t.Skip("skipped: ", err)
	}
	if os.Getuid() != 0 {
		t.Skip("skipped: only root may install a package")
	}
	deb := built(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	plugin, err := testbed.Compile(ctx, t.TempDir(), testbed.Examples)
	require.NoError(t, err)
	exe, err := os.Executable()
	require.NoError(t, err)

	cmd := exec.CommandContext(ctx, exe)
	cmd.Env = append(os.Environ(), envPackage+"="+deb, envPlugin+"="+plugin.Server)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	var ended *exec.ExitError
	switch {
	case errors.Is(err, syscall.EPERM):
		t.Skip("skipped: this machine lets nobody make a mount namespace: ", err)
	case errors.As(err, &ended) && ended.ExitCode() == noCopy:
		t.Skipf("skipped: this machine lets nobody mount a copy of its files: %s", out)
	}
	require.NoError(t, err, "%s", out)
	t.Logf("%s", out)
}

// installed runs in the copy: it installs the package, looks whether it works,
// and purges it.
func installed(deb, plugin string) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if exec.Command("dpkg-query", "-W", "kongring").Run() == nil {
		return errors.New("kongring is installed on this machine: remove it for the test")
	}
	dir, err := os.MkdirTemp("", "kd") // short: a socket lies in it
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	_, err = exec.LookPath("systemd-sysusers")
	systemd := err == nil // which the units and their user are for
	steps := []struct {
		what   string
		needed bool
		do     func() error
	}{
		{"install", true, func() error { return run("dpkg", "-i", deb) }},
		{"the command", true, func() error { return says("kongring "+version+" (", "kongring", "--version") }},
		{"the user", systemd, func() error { return says("kongring", "getent", "passwd", "kongring") }},
		{"the doctor", true, func() error { return healthy(dir) }},
		{"requests", true, func() error { return serves(ctx, dir, plugin) }},
		{"install again", true, func() error { return run("dpkg", "-i", deb) }},
		{"another member of the group", systemd, func() error { return run("usermod", "--append", "--groups", "kongring", "nobody") }},
		{"what a unit keeps", systemd, func() error { return run("install", "-d", "-o", "kongring", "/run/kongring/hello") }},
		{"remove", true, func() error { return run("dpkg", "-r", "kongring") }},
		{"the user stays", systemd, func() error { return says("kongring", "getent", "passwd", "kongring") }},
		{"purge", true, func() error { return run("dpkg", "-P", "kongring") }},
	}
	for _, s := range steps {
		if !s.needed {
			continue
		}
		if err := s.do(); err != nil {
			return fmt.Errorf("%s: %w", s.what, err)
		}
	}
	return nil
}

func run(name string, args ...string) error { return says("", name, args...) }

// says runs a program, and wants a text in what it prints.
func says(want, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, out)
	}
	if !strings.Contains(string(out), want) {
		return fmt.Errorf("%s %s: no %q in %s", name, strings.Join(args, " "), want, out)
	}
	return nil
}

// healthy has kongring doctor look for the bridge; what it finds of the machine
// is another matter.
func healthy(dir string) error {
	conf := filepath.Join(dir, "kong.conf")
	text, err := doctor("/dev/null")
	if err != nil {
		return err
	}
	if !strings.Contains(text, "fix: have /usr/share/lua/5.1/?.lua on lua_package_path\n") {
		return fmt.Errorf("kongring doctor does not say where the bridge is: %s", text)
	}
	if err := os.WriteFile(conf, []byte("lua_package_path = /usr/share/lua/5.1/?.lua\n"), 0o644); err != nil {
		return err
	}
	if text, err = doctor(conf); err != nil {
		return err
	}
	for _, check := range []string{"bridge", "helper"} {
		if !strings.Contains(text, fmt.Sprintf("ok       %-10s /usr/share/lua/5.1/kongring", check)) {
			return fmt.Errorf("kongring doctor does not find the %s: %s", check, text)
		}
	}
	return nil
}

// doctor gives what kongring doctor finds, which may be a fault.
func doctor(conf string) (string, error) {
	out, err := exec.Command("kongring", "doctor", "-c", conf).CombinedOutput()
	var ended *exec.ExitError
	if err != nil && (!errors.As(err, &ended) || ended.ExitCode() != 1) {
		return "", fmt.Errorf("kongring doctor: %w: %s", err, out)
	}
	return string(out), nil
}

// serves has an nginx serve a request by a Go plugin and the bridge that was
// installed.
func serves(ctx context.Context, dir, plugin string) (err error) {
	socket, lua, config := filepath.Join(dir, "s"), filepath.Join(dir, "lua"), filepath.Join(dir, "kong.json")
	if err := run("kongring", "install", plugin, "--socket", socket, "--dir", lua, "--prefix", "/usr", "--no-bridge"); err != nil {
		return err
	}
	text := `{"plugins": ["hello"], "routes": [{"name": "r", "paths": ["/"], "plugins": [{"name": "hello"}]}]}`
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		return err
	}
	server, err := testbed.StartServer(ctx, plugin, socket, filepath.Join(dir, "server.log"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Stop(ctx)) }()
	h, err := host.Start(ctx, host.Options{
		Prefix: filepath.Join(dir, "nginx"), Config: config, LuaPath: []string{lua, "/usr/share/lua/5.1"},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Stop(ctx)) }()

	const want = "hello, you, at /"
	got := ""
	err = testbed.Eventually(ctx, patience, "an answer with "+want, func() bool {
		got, _ = header(ctx, h.URL(), "x-hello-from-go")
		return got == want
	})
	if err != nil {
		log, _ := h.ErrorLog()
		return fmt.Errorf("%w: got %q; nginx says: %s", err, got, log)
	}
	return usesHelper(h)
}
