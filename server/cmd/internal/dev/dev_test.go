package dev_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/server"
	"github.com/kongring/kongring/server/cmd/internal/exit"
	"github.com/kongring/kongring/server/cmd/internal/root"
)

// gone tells whether a process is.
func gone(pid int) bool { return syscall.Kill(pid, 0) != nil }

// A server that ends, whenever it does, is one line; the old one stays, and the next
// save tries again.
func TestDevServerThatEnds(t *testing.T) {
	p := newPlugin(t)
	s := p.dev()
	first := s.serves()

	// At its start.
	p.edit("func main() {\n", "func init() { os.Exit(3) }\n\nfunc main() {\n")
	p.edit("import (\n", "import (\n\t\"os\"\n")
	s.waits(`built in \S+, but it does not start, exit status 3: .*: pid %d serves on\n`, first)
	require.False(t, gone(first))
	p.edit("func init() { os.Exit(3) }", "func init() { if len(os.Args) == 3 { os.Exit(4) } }") // not for -dump
	s.waits(`but it ended at its start, exit status 4: pid %d serves on\n`, first)
	require.False(t, gone(first))

	p.edit("os.Exit(4)", "_ = 4")
	second := s.serves()
	require.Eventually(t, func() bool { return gone(first) }, patience, time.Millisecond)

	// Later.
	require.NoError(t, syscall.Kill(second, syscall.SIGKILL))
	s.waits(`the server, pid %d, has ended, signal: killed: the next save starts it again\n`, second)
	p.edit("_ = 4", "_ = 4") // the same program, saved
	third := s.serves()
	p.edit("_ = 4", "_ = 4")
	s.waits(`built in \S+: the program is the same\n`)
	require.False(t, gone(third))

	// What one that was killed leaves behind goes too.
	require.NoError(t, syscall.Kill(third, syscall.SIGKILL))
	s.waits(`the server, pid %d, has ended, signal: killed`, third)
	_, err := os.Lstat(p.socket())
	require.NoError(t, err)
	s.ends()
	require.NotContains(t, s.said.String(), "changed: install it", "the schema is what it was")
}

// One that takes the socket and then ends leaves nobody there: the one before it
// listens again.
func TestDevServerThatTakesTheSocketAndEnds(t *testing.T) {
	p := newPlugin(t)
	s := p.dev()
	first := s.serves()
	p.edit("\tif err := server.StartServer(", `	if len(os.Args) == 3 {
		if err := os.Remove(server.SocketPath("greet")); err != nil {
			log.Fatal(err)
		}
		os.Exit(5)
	}
	if err := server.StartServer(`)
	p.edit("import (\n", "import (\n\t\"os\"\n")
	s.waits(`but it ended at its start, exit status 5: pid (\d+) serves on\n`)
	stats, err := server.Inspect(s.socket(), patience)
	require.NoError(t, err)
	require.NotEqual(t, first, stats.PID)
	s.ends()
	require.True(t, gone(stats.PID))
}

// A new package, an embedded file and a dependency beside the module count; tests do
// not.
func TestDevWatchesWhatTheProgramIsMadeOf(t *testing.T) {
	p := newPlugin(t)
	s := p.dev()
	s.serves()
	write := func(file, text string) {
		require.NoError(t, os.MkdirAll(filepath.Dir(p.path(file)), 0o755))
		require.NoError(t, os.WriteFile(p.path(file), []byte(text), 0o644))
	}
	write(name+"/main_test.go", "package main")

	// A folder that is not there yet when it is imported.
	p.edit("import (\n", "import (\n\t\"example.com/greet/words\"\n\t\"example.com/beside\"\n")
	p.edit(`Greeting: "hello"`, `Greeting: words.Hello + beside.Text`)
	s.waits(`main\.go:\d+:\d+: .*words(.|\n)*it does not build: pid \d+ serves on\n`)
	write(name+"/words/words.go", "package words\n\nimport _ \"embed\"\n\n//go:embed hello.txt\nvar Hello string\n")
	write(name+"/words/hello.txt", "hello")
	write("beside/go.mod", "module example.com/beside\n\ngo 1.26\n")
	write("beside/beside.go", "package beside\n\nconst Text = \"1\"\n")
	mod, err := os.ReadFile(p.path(name + "/go.mod"))
	require.NoError(t, err)
	write(name+"/go.mod", string(mod)+"\nrequire example.com/beside v0.0.0\n\nreplace example.com/beside => ../beside\n")
	s.serves()

	write(name+"/words/hello.txt", "good day")
	s.waits(`its schema, phases, version or priority changed: install it`)
	write("beside/beside.go", "package beside\n\nconst Text = \"2\"\n")
	s.waits(`its schema, phases, version or priority changed: install it`)
	s.ends()
}

// The modules that Kong loads follow the schema, and only then Kong has to reload.
func TestDevKeepsModulesUpToDate(t *testing.T) {
	p := newPlugin(t)
	lua := p.path("lua")
	schema := func() string {
		text, err := os.ReadFile(filepath.Join(lua, "kong/plugins", name, "schema.lua"))
		require.NoError(t, err)
		return string(text)
	}
	s := p.dev("--install-dir", lua)
	s.serves()
	s.waits(`its modules in %s changed: reload Kong`, lua)
	require.Contains(t, schema(), "greeting")

	p.edit(`greeting := c.Greeting`, `greeting := "say " + c.Greeting`)
	s.serves()
	p.edit("json:\"greeting\"", "json:\"opening\"")
	s.serves()
	s.waits(`its modules in %s changed: reload Kong`, lua)
	require.Contains(t, schema(), "opening")
	require.Equal(t, 2, strings.Count(s.said.String(), "reload Kong"))
	s.ends()
	s = p.dev("--install-dir", lua)
	s.serves()
	p.edit(`"say "`, `"say "`)
	s.waits("the program is the same") // the modules were looked at by then

	// What somebody else changed is not written over.
	require.NoError(t, os.WriteFile(filepath.Join(lua, "kong/plugins", name, "schema.lua"), []byte("-- mine"), 0o644))
	p.edit("json:\"opening\"", "json:\"greeting\"")
	s.serves()
	s.waits(`its modules were not written: .*was changed since it was installed`)
	require.Equal(t, "-- mine", schema())
	s.ends()
	require.NotContains(t, s.said.String(), "reload Kong")
}

// Ctrl-C in a terminal reaches the whole group, while a server runs and while one is
// built.
func TestDevCtrlC(t *testing.T) {
	p := newPlugin(t)
	kongring := p.path("kongring")
	out, err := exec.Command("go", "build", "-o", kongring, "../../kongring").CombinedOutput()
	require.NoError(t, err, string(out))
	for _, until := range []string{"builds ", " serves at "} {
		said := &said{}
		cmd := exec.Command(kongring, "dev", p.path(name), "--", "-socket", p.socket())
		cmd.Stdout, cmd.Stderr = said, said
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		require.NoError(t, cmd.Start())
		require.Eventually(t, func() bool { return strings.Contains(said.String(), until) }, patience, time.Millisecond, said)
		require.NoError(t, syscall.Kill(-cmd.Process.Pid, syscall.SIGINT))
		require.Error(t, cmd.Wait())
		require.Equal(t, exit.Signaled+2, cmd.ProcessState.ExitCode(), said)
		require.True(t, strings.HasSuffix(said.String(), "kongring: ended by: interrupt\n"), said)
		require.NotContains(t, said.String(), "was killed")
		p.nothingLeft()
	}
}

// Who reads its lines may leave: the next line ends it, and its server.
func TestDevClosedPipe(t *testing.T) {
	p := newPlugin(t)
	kongring := p.path("kongring")
	out, err := exec.Command("go", "build", "-o", kongring, "../../kongring").CombinedOutput()
	require.NoError(t, err, string(out))
	cmd := exec.Command(kongring, "dev", p.path(name), "--", "-socket", p.socket())
	read, write, err := os.Pipe()
	require.NoError(t, err)
	cmd.Stdout, cmd.Stderr = write, write
	require.NoError(t, cmd.Start())
	require.NoError(t, write.Close())
	said := &said{}
	buffer := make([]byte, 4096)
	for !strings.Contains(said.String(), " serves at ") {
		n, err := read.Read(buffer)
		require.NoError(t, err, said)
		_, _ = said.Write(buffer[:n])
	}
	require.NoError(t, read.Close())
	p.edit(`"hello"`, `"hi"`)
	require.Error(t, cmd.Wait())
	p.nothingLeft()
}

func TestDevBadInput(t *testing.T) {
	dir := t.TempDir()
	write := func(file, text string) {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, file)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644))
	}
	write("nomodule/main.go", "package main")
	write("library/go.mod", "module example.com/library\n\ngo 1.26\n")
	write("library/library.go", "package library")
	for _, tc := range []struct {
		status int
		line   string
		args   []string
	}{
		{exit.Usage, "want one DIR", nil},
		{exit.Usage, "want one DIR", []string{"a", "b"}},
		{exit.Usage, "want one DIR with a plugin, got 0", []string{"--", "-socket"}},
		{exit.Usage, "does not exist", []string{filepath.Join(dir, "none")}},
		{exit.Usage, "is no folder", []string{filepath.Join(dir, "library/go.mod")}},
		{exit.Failed, "is in no Go module", []string{filepath.Join(dir, "nomodule")}},
		{exit.Failed, "has no package main", []string{filepath.Join(dir, "library")}},
	} {
		var out, errOut bytes.Buffer
		status := root.Main(append([]string{"dev"}, tc.args...), &out, &errOut)
		require.Equal(t, tc.status, status, "%v: %s", tc.args, errOut.String())
		require.Contains(t, errOut.String(), tc.line)
		require.Equal(t, 1, strings.Count(errOut.String(), "\n"), errOut.String())
	}
	t.Setenv("PATH", t.TempDir())
	var out, errOut bytes.Buffer
	require.Equal(t, exit.Failed, root.Main([]string{"dev", filepath.Join(dir, "library")}, &out, &errOut))
	require.Contains(t, errOut.String(), "there is no Go here")
}

// A program that serves no plugin is told so, and not run.
func TestDevOtherProgram(t *testing.T) {
	p := newPlugin(t)
	t.Chdir(p.dir)
	require.NoError(t, os.WriteFile(p.path(name+"/main.go"), []byte("package main\n\nimport \"os\"\n\nfunc main() { _ = os.WriteFile(\"ran\", nil, 0o644) }\n"), 0o644))
	s := p.dev()
	s.waits(`but it is no plugin of kongring`)
	require.NoFileExists(t, "ran")
	s.ends()
}
