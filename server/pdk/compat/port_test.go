package compat

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/luabridge/pages"
)

// names are the plugins in the folder plugins: their own folders, and so their
// binaries.
var names = []string{"session", "reqlog", "upstream-auth"}

// ported is where the plugins are as they were and as the guide makes them; each
// version has its binary in its folder.
var ported = struct {
	once          sync.Once
	base          string // removed by TestMain
	before, after string
}{}

func TestMain(m *testing.M) {
	code := m.Run()
	if ported.base != "" {
		_ = os.RemoveAll(ported.base)
	}
	os.Exit(code)
}

// port copies the plugins twice and ports one copy by the guide's commands.
func port(t *testing.T) (before, after string) {
	t.Helper()
	ported.once.Do(func() {
		base, err := os.MkdirTemp("", "port")
		require.NoError(t, err)
		ported.base = base
		before, after := filepath.Join(base, "before"), filepath.Join(base, "after")
		for _, dir := range []string{before, after} {
			require.NoError(t, os.CopyFS(dir, os.DirFS("plugins")))
		}
		pages.Run(t, after, here(t)+commands(t, "Change the source"))
		for _, name := range names {
			script := strings.ReplaceAll(commands(t, "Build it and look"), "my-plugin", name)
			require.Contains(t, script, "go test", "the plugins' own tests")
			pages.Run(t, filepath.Join(after, name), script)
			pages.Run(t, filepath.Join(before, name), "go vet . && go test . && go build -o "+name+" .")
		}
		ported.before, ported.after = before, after
	})
	require.NotEmpty(t, ported.after, "the port failed in an earlier test")
	return ported.before, ported.after
}

// Nothing of go-pdk is left, in the source and in the module's requirements, and
// nothing but import paths was changed.
func TestPortedSource(t *testing.T) {
	before, after := port(t)
	for _, name := range names {
		for _, file := range glob(t, filepath.Join(after, name, "*.go")) {
			now, err := os.ReadFile(file)
			require.NoError(t, err)
			was, err := os.ReadFile(filepath.Join(before, name, filepath.Base(file)))
			require.NoError(t, err)
			require.NotContains(t, string(now), "go-pdk")
			require.Equal(t, withoutImports(was), withoutImports(now), file)
		}
	}
	for _, file := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join(after, file))
		require.NoError(t, err)
		require.NotContains(t, string(text), "Kong/go-pdk", file)
		if file == "go.mod" { // the library for metrics requires it, no plugin does
			require.NotRegexp(t, `(?m)protobuf v[^ ]+$`, string(text))
		}
	}
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	require.NoError(t, err)
	require.NotEmpty(t, files, pattern)
	return files
}

// withoutImports gives the lines of a source file that do not import anything.
func withoutImports(text []byte) string {
	_, after, found := strings.Cut(string(text), "import (")
	if !found {
		return string(text)
	}
	_, after, _ = strings.Cut(after, "\n)\n")
	return after
}

// Kong learns of a ported plugin what it learned before, but for what the guide
// names: the protocol, and in the schema the defaults and that there is a config.
func TestPortedDump(t *testing.T) {
	before, after := port(t)
	for _, name := range names {
		was, now := dump(t, filepath.Join(before, name, name)), dump(t, filepath.Join(after, name, name))
		require.Equal(t, "ProtoBuf:1", was["Protocol"])
		require.Equal(t, "MsgPack:1", now["Protocol"])
		delete(was, "Protocol")
		delete(now, "Protocol")

		config := now["Plugins"].([]interface{})[0].(object)["Schema"].(object)["fields"].([]interface{})[0].(object)["config"].(object)
		require.Equal(t, true, config["required"])
		delete(config, "required")
		require.Positive(t, dropDefaults(config), "defaults of %s", name)
		require.Equal(t, was, now, name)
	}
}

type object = map[string]interface{}

func dump(t *testing.T, binary string) (out object) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(pages.Run(t, ".", binary+" -dump")), &out))
	return out
}

// dropDefaults takes the attribute default out of a schema, and counts them.
func dropDefaults(schema interface{}) (count int) {
	switch s := schema.(type) {
	case object:
		if _, ok := s["default"]; ok && s["type"] != nil {
			delete(s, "default")
			count++
		}
		for _, v := range s {
			count += dropDefaults(v)
		}
	case []interface{}:
		for _, v := range s {
			count += dropDefaults(v)
		}
	}
	return count
}

// What the guide installs is where it says, and belongs to the plugin.
func TestPortedInstall(t *testing.T) {
	_, after := port(t)
	for _, name := range names {
		dir := t.TempDir()
		require.NoError(t, os.Symlink(pages.Root(t), filepath.Join(dir, "kongring")))
		require.NoError(t, os.MkdirAll(filepath.Join(dir, "usr/bin"), 0o755))
		require.NoError(t, os.Symlink(filepath.Join(after, name, name), filepath.Join(dir, name)))
		script := strings.ReplaceAll(commands(t, "Install it"), "my-plugin", name)
		pages.Run(t, dir, strings.ReplaceAll(script, "/usr/local", filepath.Join(dir, "usr")))

		require.FileExists(t, filepath.Join(dir, "usr/share/lua/5.1/kongring/handler.lua"))
		require.FileExists(t, filepath.Join(dir, "usr/share/lua/5.1/kongring/libkongring.so"))
		modules := filepath.Join(dir, "usr/share/kong-plugins/kong/plugins", name)
		require.FileExists(t, filepath.Join(modules, "schema.lua"))
		handler, err := os.ReadFile(filepath.Join(modules, "handler.lua"))
		require.NoError(t, err)
		require.Contains(t, string(handler), fmt.Sprintf("name = %q", name))
		require.Contains(t, string(handler), fmt.Sprintf("socket = %q", filepath.Join(dir, "usr/kong", name+".socket")))
	}
}

// A copy of the binary is a plugin of its own, with a socket of its own.
func TestPortedCopy(t *testing.T) {
	_, after := port(t)
	dir := t.TempDir()
	pages.Run(t, dir, "cp "+filepath.Join(after, "session", "session")+" my-plugin")
	var out struct {
		SocketPath string
		Plugins    []struct{ Name string }
	}
	require.NoError(t, json.Unmarshal([]byte(pages.Run(t, dir, commands(t, "Side by side"))), &out))
	require.Equal(t, "my-plugin-stock", out.Plugins[0].Name)
	require.Equal(t, "/usr/local/kong/my-plugin-stock.socket", out.SocketPath)
}
