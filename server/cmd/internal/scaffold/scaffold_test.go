package scaffold_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/luabridge"
	"github.com/kongring/kongring/luabridge/host"
	"github.com/kongring/kongring/luabridge/testbed"
	"github.com/kongring/kongring/server/cmd/internal/exit"
	"github.com/kongring/kongring/server/cmd/internal/root"
)

const patience = 5 * time.Minute

// kongring runs the command.
func kongring(args ...string) (status int, out, errOut string) {
	var o, e bytes.Buffer
	status = root.Main(args, &o, &e)
	return status, o.String(), e.String()
}

// checkout is the folder of this source.
func checkout(t *testing.T) string {
	return strings.TrimSpace(run(t, ".", "go", "list", "-m", "-f", "{{.Dir}}", "github.com/kongring/kongring"))
}

// run runs a program in a folder and gives what it prints.
func run(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s %v: %s", name, args, out)
	return string(out)
}

// offline lets the go command take what is on this machine alone: what is
// generated has to do with what this module requires itself.
func offline(t *testing.T) {
	run(t, checkout(t), "go", "mod", "download")
	t.Setenv("GOPROXY", "off")
	t.Setenv("GOSUMDB", "off")
}

// A plugin that was written builds, passes its test, has no fault that Kong would
// find, and serves a request through nginx.
func TestNewPluginWorks(t *testing.T) {
	offline(t)
	dir, err := os.MkdirTemp("", "kn") // short: a socket lies in it
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	source, binary := filepath.Join(dir, "src"), filepath.Join(dir, "src", "greet_2")
	status, out, errOut := kongring("new", "greet_2", "--dir", source, "--replace", checkout(t), "--module", "example.com/plugins/greet")
	require.Equal(t, exit.Fine, status, errOut)
	require.Empty(t, errOut)
	require.Contains(t, out, "wrote "+filepath.Join(source, "main.go"))

	require.Empty(t, run(t, source, "gofmt", "-l", "."))
	run(t, source, "go", "vet", "./...")
	require.Contains(t, run(t, source, "go", "test", "./..."), "ok")
	run(t, source, "go", "build", "-o", "greet_2", ".")
	require.Empty(t, run(t, source, "./greet_2", "-check"))
	var dump struct {
		Plugins []struct {
			Name   string
			Phases []string
		}
	}
	require.NoError(t, json.Unmarshal([]byte(run(t, source, "./greet_2", "-dump")), &dump))
	require.Equal(t, "greet_2", dump.Plugins[0].Name)
	require.Equal(t, []string{"access", "log"}, dump.Plugins[0].Phases)

	if err := host.Available(); err != nil {
		t.Skip(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	library, err := luabridge.BuildHelper("cc", dir)
	require.NoError(t, err)
	type object = map[string]interface{}
	bed, err := testbed.Start(ctx, testbed.Options{
		Build: testbed.Build{Root: checkout(t), Server: binary, Library: library}, Dir: dir,
		Config: testbed.Config{
			"plugins": []string{"greet_2"},
			"routes": []interface{}{object{
				"name": "r", "paths": []string{"/"},
				"plugins": []interface{}{object{"name": "greet_2", "config": object{"greeting": "good day", "loud": 200}}},
			}},
		},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, bed.Stop(context.Background())) })
	request, err := http.NewRequestWithContext(ctx, "GET", bed.Host.URL()+"/a", nil)
	require.NoError(t, err)
	request.Header.Set("x-name", "ann")
	answer, err := bed.Client.Do(request)
	require.NoError(t, err)
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, 200, answer.StatusCode, string(body))
	require.Equal(t, "good day, ann", answer.Header.Get("x-greet-2"))
	require.NoError(t, testbed.Eventually(ctx, patience, "the line of Log", func() bool {
		text, err := bed.Host.ErrorLog()
		return err == nil && strings.Contains(text, "answered /a with 200")
	}))
}

func TestNewOverwritesNothing(t *testing.T) {
	dir := t.TempDir()
	readme := filepath.Join(dir, "README.md")
	require.NoError(t, os.WriteFile(readme, []byte("mine"), 0o644))
	status, out, errOut := kongring("new", "greet", "--dir", dir, "--replace", checkout(t))
	require.Equal(t, exit.Failed, status)
	require.Empty(t, out)
	require.Contains(t, errOut, readme+" is there already")
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1)

	// Also where it looked the other way: a link to nowhere is a file.
	require.NoError(t, os.Remove(readme))
	require.NoError(t, os.Symlink(filepath.Join(dir, "nowhere"), readme))
	status, _, errOut = kongring("new", "greet", "--dir", dir, "--replace", checkout(t))
	require.Equal(t, exit.Failed, status)
	require.Contains(t, errOut, readme+" is there already")
	require.NoFileExists(t, filepath.Join(dir, "nowhere"))
}

func TestNewDryRun(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "greet")
	status, out, _ := kongring("new", "greet", "--dir", dir, "--replace", checkout(t), "--dry-run")
	require.Equal(t, exit.Fine, status)
	require.Equal(t, 5, strings.Count(out, "would write "+dir))
	require.NoDirExists(t, dir)
}

func TestNewBadInput(t *testing.T) {
	dir, source := t.TempDir(), checkout(t)
	t.Chdir(dir)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o644))
	for _, tc := range []struct {
		status int
		line   string
		args   []string
	}{
		{exit.Usage, "want one NAME", nil},
		{exit.Usage, "want one NAME", []string{"a", "b"}},
		{exit.Usage, "want small letters", []string{"My-Plugin"}},
		{exit.Usage, "want small letters", []string{"a.b"}},
		{exit.Usage, "want small letters", []string{"a/b"}},
		{exit.Usage, "want small letters", []string{"1a"}},
		{exit.Usage, "want small letters", []string{"a-"}},
		{exit.Usage, "want small letters", []string{""}},
		{exit.Usage, "at most 64", []string{strings.Repeat("a", 65)}},
		{exit.Usage, "something else", []string{"bundled"}},
		{exit.Usage, "Kong brings a plugin", []string{"key-auth"}},
		{exit.Usage, "path of a Go module", []string{"a", "--module", "example.com//a"}},
		{exit.Usage, "path of a Go module", []string{"a", "--module", "a b"}},
		{exit.Usage, "no version to require", []string{"a"}},
		{exit.Failed, "flag --replace: open", []string{"a", "--replace", "none"}},
		{exit.Usage, "is no checkout of", []string{"a", "--replace", filepath.Join(source, "server", "pdk", "compat")}},
		{exit.Failed, "not a directory", []string{"a", "--replace", source, "--dir", "file/a"}},
	} {
		status, out, errOut := kongring(append([]string{"new"}, tc.args...)...)
		require.Equal(t, tc.status, status, "%v: %s", tc.args, errOut)
		require.Empty(t, out)
		require.Contains(t, errOut, tc.line)
		require.Equal(t, 1, strings.Count(errOut, "\n"), errOut)
	}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1)
}

// Without a Go the files are there, and the one line says what is missing.
func TestNewWithoutGo(t *testing.T) {
	dir, source := filepath.Join(t.TempDir(), "a"), checkout(t)
	t.Setenv("PATH", t.TempDir())
	status, _, errOut := kongring("new", "a", "--dir", dir, "--replace", source)
	require.Equal(t, exit.Failed, status)
	require.Contains(t, errOut, "there is no Go here")
	require.FileExists(t, filepath.Join(dir, "go.mod"))
}
