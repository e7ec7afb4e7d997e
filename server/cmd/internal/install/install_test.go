package install_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/server/cmd/internal/exit"
	"github.com/kongring/kongring/server/cmd/internal/root"
)

var hello, kongring string // binaries of the plugin and of the command

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "kongring-install-test-")
	if err == nil {
		hello, kongring = filepath.Join(dir, "hello"), filepath.Join(dir, "kongring")
		err = os.Chmod(dir, 0o755) // for the test that is nobody
	}
	if err == nil {
		var out []byte
		if out, err = exec.Command("go", "build", "-o", dir, "../../../examples/cmd/hello", "../../kongring").CombinedOutput(); err != nil {
			err = fmt.Errorf("%w: %s", err, out)
		}
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// stage is a folder to install into: prefix is p in it, dir is d, bin has the
// plugin hello.
type stage struct {
	*testing.T
	dir string
}

func newStage(t *testing.T) stage {
	s := stage{t, t.TempDir()}
	require.NoError(t, os.Mkdir(s.path("bin"), 0o755))
	require.NoError(t, os.Link(hello, s.path("bin/hello")))
	return s
}

func (s stage) path(name string) string { return filepath.Join(s.dir, name) }

// run runs a command of kongring with the stage's prefix and dir.
func (s stage) run(command string, args ...string) (status int, out, errOut string) {
	var o, e bytes.Buffer
	status = root.Main(append([]string{command, "--prefix", s.path("p"), "--dir", s.path("d")}, args...), &o, &e)
	return status, o.String(), e.String()
}

// works is run where it has to go well.
func (s stage) works(command string, args ...string) string {
	s.Helper()
	status, out, errOut := s.run(command, args...)
	require.Equal(s, exit.Fine, status, errOut)
	require.Empty(s, errOut)
	return out
}

// refuses is run where it has to give one line.
func (s stage) refuses(want int, line string, command string, args ...string) {
	s.Helper()
	status, _, errOut := s.run(command, args...)
	require.Equal(s, want, status, errOut)
	require.Contains(s, errOut, line)
	require.Equal(s, 1, strings.Count(errOut, "\n"), errOut)
}

// files are all files and folders of the stage, but for those in bin.
func (s stage) files() (all map[string]string) {
	all = map[string]string{}
	require.NoError(s, filepath.WalkDir(s.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == s.dir || strings.HasPrefix(path, s.path("bin")) {
			return err
		}
		if e.IsDir() {
			all[path] = "folder"
			return nil
		}
		info, err := e.Info()
		text, _ := os.ReadFile(path)
		all[path] = fmt.Sprintf("%v %v %d %x", info.Mode(), info.ModTime(), len(text), text)
		return err
	}))
	return all
}

func TestInstallAndUninstall(t *testing.T) {
	s := newStage(t)
	before := s.files()

	out := s.works("install", s.path("bin"), "--dry-run")
	require.Contains(t, out, "would write")
	require.NotContains(t, out, "wrote")
	require.Equal(t, before, s.files(), "a dry run changed something")

	out = s.works("install", s.path("bin"))
	require.Contains(t, out, "wrote         2 files in "+s.path("d/kong/plugins/hello"))
	require.Contains(t, out, "plugins = bundled,hello\n")
	files := s.files()

	// The same as the two ways that do it by hand.
	byHand := t.TempDir()
	require.NoError(t, exec.Command(hello, "-install", byHand).Run())
	for _, name := range []string{"kong/plugins/hello/handler.lua", "kong/plugins/hello/schema.lua"} {
		want, err := os.ReadFile(filepath.Join(byHand, name))
		require.NoError(t, err)
		got, err := os.ReadFile(s.path("d/" + name))
		require.NoError(t, err)
		require.Equal(t, string(want), string(got))
	}
	modules, err := filepath.Glob("../../../../luabridge/kongring/*.lua")
	require.NoError(t, err)
	require.NotEmpty(t, modules)
	for _, path := range modules {
		want, err := os.ReadFile(path)
		require.NoError(t, err)
		got, err := os.ReadFile(s.path("p/share/lua/5.1/kongring/" + filepath.Base(path)))
		require.NoError(t, err)
		require.Equal(t, string(want), string(got), path)
	}
	if _, err := exec.LookPath("luajit"); err == nil {
		cmd := exec.Command("luajit", "-e", `require "kongring.helper"`)
		cmd.Env = []string{"LUA_PATH=" + s.path("p/share/lua/5.1/?.lua")}
		said, err := cmd.CombinedOutput()
		require.NoError(t, err, string(said))
	}

	out = s.works("install", s.path("bin"))
	require.NotContains(t, out, "wrote")
	again := s.files()
	for path, was := range files {
		if filepath.Base(path) != "kongring-installed.json" {
			require.Equal(t, was, again[path], path)
		}
	}

	// What was there before stays.
	require.NoError(t, os.WriteFile(s.path("d/kong/other"), nil, 0o644))
	require.Contains(t, s.works("uninstall", "--dry-run"), "would remove")
	require.Equal(t, again[s.path("d/kong/plugins/hello/handler.lua")], s.files()[s.path("d/kong/plugins/hello/handler.lua")])
	require.Contains(t, s.works("uninstall"), "removed")
	left := s.files()
	require.Len(t, left, 3, "%v", left)
	require.Contains(t, left, s.path("d/kong/other"))
	require.Empty(t, s.works("uninstall"))
}

func TestInstallFollowsAnUpgrade(t *testing.T) {
	s := newStage(t)
	s.works("install", s.path("bin"))
	record := s.path("p/share/lua/5.1/kongring/kongring-installed.json")
	text, err := os.ReadFile(record)
	require.NoError(t, err)

	// An older bridge: one module was another, one is not there any more, and
	// the install of the next was interrupted behind its record.
	ring, gone := s.path("p/share/lua/5.1/kongring/ring.lua"), s.path("p/share/lua/5.1/kongring/gone.lua")
	const ofOld = "cba06b5736faf67e54b07b561eae94395e774c517a7d910a54369e1263ccfbd4" // sha256("old")
	require.NoError(t, os.WriteFile(ring, []byte("old"), 0o644))
	require.NoError(t, os.WriteFile(gone, []byte("old"), 0o644))
	changed := strings.Replace(string(text), `ring.lua": [`, `ring.lua": ["`+ofOld+`",`, 1)
	changed = strings.Replace(changed, `"Files": {`, `"Files": {"`+gone+`": ["`+ofOld+`"],`, 1)
	require.NoError(t, os.WriteFile(record, []byte(changed), 0o644))

	out := s.works("install", s.path("bin"))
	require.Contains(t, out, "wrote         1 file")
	require.Contains(t, out, "removed       1 file")
	require.NoFileExists(t, gone)
	s.works("uninstall", "hello")
	require.NoDirExists(t, s.path("d"))
	s.works("uninstall")
	require.Empty(t, s.files())
}

func TestInstallLeavesOthersAlone(t *testing.T) {
	s := newStage(t)
	handler := s.path("d/kong/plugins/hello/handler.lua")
	require.NoError(t, os.MkdirAll(filepath.Dir(handler), 0o755))
	require.NoError(t, os.WriteFile(handler, []byte("return {}"), 0o644))
	s.refuses(exit.Failed, "is not kongring's", "install", s.path("bin"))
	require.NoDirExists(t, s.path("p"), "it wrote the bridge first")

	// What the plugin's own -install wrote is replaced.
	require.NoError(t, os.WriteFile(handler, []byte("-- Written by the plugin server of hello"), 0o644))
	s.works("install", s.path("bin"))
	require.NoError(t, os.WriteFile(handler, []byte("-- changed"), 0o644))
	s.refuses(exit.Failed, "was changed since", "install", s.path("bin"))
	s.refuses(exit.Failed, "kept what was changed", "uninstall")
	require.FileExists(t, handler)
	require.NoFileExists(t, s.path("d/kong/plugins/hello/schema.lua"))
}

func TestInstallBadInput(t *testing.T) {
	s := newStage(t)
	text := s.path("bin/text")
	require.NoError(t, os.WriteFile(text, []byte("no program"), 0o755))
	require.NoError(t, os.Mkdir(s.path("empty"), 0o755))
	second := s.path("bin/second")

	s.refuses(exit.Failed, "does not exist", "install", s.path("bin/none"))
	s.refuses(exit.Failed, "not built with kongring", "install", text)
	s.refuses(exit.Failed, "no program in", "install", s.path("empty"))
	s.refuses(exit.Failed, "no C compiler", "install", s.path("bin"), "--cc", "no-such-compiler")
	s.refuses(exit.Failed, "is no library", "install", s.path("bin"), "--helper", text)
	s.refuses(exit.Failed, "no such file", "install", s.path("bin"), "--helper", "none")
	s.refuses(exit.Usage, "unknown flag", "install", "--nothing")
	s.refuses(exit.Usage, `unknown plugin "nothing"`, "uninstall", "nothing")
	s.refuses(exit.Usage, "--dir is missing", "install", s.path("bin"), "--dir", "")
	s.refuses(exit.Usage, "--dir is missing", "uninstall", "hello", "--dir", "")
	require.NoDirExists(t, s.path("p"))

	s.works("install", s.path("bin"))
	s.refuses(exit.Usage, "are: hello", "uninstall", "nothing")
	require.NoError(t, os.Link(hello, second))
	s.refuses(exit.Usage, "2 plugin binaries", "install", s.path("bin"), "--socket", "/run/x.socket")
	s.works("install", s.path("bin"), "--kong-prefix", "/kong")
	handler, err := os.ReadFile(s.path("d/kong/plugins/second/handler.lua"))
	require.NoError(t, err)
	require.Contains(t, string(handler), `"/kong/second.socket"`)
	s.works("install", s.path("bin"), "--socket", "/run/%i/socket")
	for _, name := range []string{"hello", "second"} {
		handler, err := os.ReadFile(s.path("d/kong/plugins/" + name + "/handler.lua"))
		require.NoError(t, err)
		require.Contains(t, string(handler), `"/run/`+name+`/socket"`)
	}

	record := s.path("d/kongring-installed.json")
	require.NoError(t, os.WriteFile(record, []byte("{"), 0o644))
	s.refuses(exit.Failed, "is damaged", "uninstall")
}

// A bridge that is there already, as a package's, is left alone by both commands.
func TestInstallWithoutTheBridge(t *testing.T) {
	s := newStage(t)
	s.refuses(exit.Usage, "there is none", "install", s.path("bin"), "--no-bridge")
	require.NoDirExists(t, s.path("d"))
	s.refuses(exit.Usage, "nothing to install", "install", "--no-bridge")

	bridge := s.path("p/share/lua/5.1/kongring")
	require.NoError(t, os.MkdirAll(bridge, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(bridge, "libkongring.so"), []byte("a package's"), 0o644))
	out := s.works("install", s.path("bin"), "--no-bridge")
	require.NotContains(t, out, bridge)
	require.Contains(t, out, s.path("p/share/lua/5.1/?.lua"))
	require.FileExists(t, s.path("d/kong/plugins/hello/handler.lua"))
	s.works("uninstall")
	require.NoDirExists(t, s.path("d/kong"))
	entries, err := os.ReadDir(bridge)
	require.NoError(t, err)
	require.Len(t, entries, 1)
	text, err := os.ReadFile(filepath.Join(bridge, "libkongring.so"))
	require.NoError(t, err)
	require.Equal(t, "a package's", string(text))
}
