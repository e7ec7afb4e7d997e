package pages_test

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/luabridge/host"
	"github.com/kongring/kongring/luabridge/pages"
)

// TestPages plays each page that a reader can play through, in an empty folder,
// with this tree published as the newest version.
func TestPages(t *testing.T) {
	if err := host.Available(); err != nil {
		t.Skip("skipped: ", err)
	}
	if testing.Short() {
		t.Skip("skipped: it builds everything anew")
	}
	root := pages.Root(t)
	shop, err := os.MkdirTemp("", "kr") // short: sockets lie below it
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(shop)) })
	env := pages.Publish(t, shop)
	for name := range played {
		t.Run(filepath.Base(name), func(t *testing.T) {
			p, err := pages.Read(filepath.Join(root, name))
			require.NoError(t, err)
			dir := filepath.Join(shop, strings.ToLower(strings.TrimSuffix(filepath.Base(name), ".md")))
			require.NoError(t, os.Mkdir(dir, 0o755))
			shell := pages.NewShell(t, dir, env...)
			text := shell.Play(p, pages.Play{
				Home: "/home/me", Update: *update,
				Here: strings.NewReplacer("127.0.0.1:8000", freeAddress(t)),
			})
			if *update {
				require.NoError(t, os.WriteFile(filepath.Join(root, name), []byte(text), 0o644))
			}
		})
	}
}

// What stands on a page as a whole program can be built. Those that are files of a
// page which is played are built there.
func TestProgramsBuild(t *testing.T) {
	project := readProject(t)
	built := 0
	for _, p := range project.pages {
		for _, b := range p.Blocks {
			if b.Language != "go" || b.Notes["file"] != "" || !strings.HasPrefix(b.Text, "package main\n") {
				continue
			}
			name := filepath.Join(t.TempDir(), "main.go")
			require.NoError(t, os.WriteFile(name, []byte(b.Text), 0o644))
			pages.Run(t, project.root, "go build -o /dev/null "+name)
			built++
		}
	}
	require.Positive(t, built)
}

// freeAddress is one that nobody listens at, in all likelihood also later.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

func TestShell(t *testing.T) {
	shell := pages.NewShell(t, t.TempDir(), "GREETING=hello")
	out, ok := shell.Run("mkdir a; cd a; x=5; sleep 1000 &", true)
	require.True(t, ok, out)
	out, ok = shell.Run(`echo $GREETING $x; basename "$PWD"`, true)
	require.True(t, ok)
	require.Equal(t, "hello 5\na\n", out)
	out, ok = shell.Run("echo before; false; echo behind", false)
	require.True(t, ok)
	require.Equal(t, "before\nbehind\n", out)
	_, ok = shell.Run("false", false)
	require.False(t, ok)
	out, ok = shell.Run("echo before; false; echo behind", true)
	require.False(t, ok)
	require.Equal(t, "before\n", out)
}

// What a page starts in the background ends with the test, and before it does.
func TestShellEndsWhatRuns(t *testing.T) {
	for _, ending := range []string{"true", "set -e; false"} {
		var pid int
		t.Run(ending, func(t *testing.T) {
			shell := pages.NewShell(t, t.TempDir())
			out, ok := shell.Run("sleep 1000 &\necho $!", true)
			require.True(t, ok)
			var err error
			pid, err = strconv.Atoi(strings.TrimSpace(out))
			require.NoError(t, err)
			require.NoError(t, syscall.Kill(pid, 0))
			shell.Run(ending, false)
		})
		require.Eventually(t, func() bool { return !runs(pid) }, time.Minute, 10*time.Millisecond)
	}
}

// runs tells whether a process is there, and more than a name that nobody asked for.
func runs(pid int) bool {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	_, state, _ := strings.Cut(string(text), ") ")
	return err == nil && !strings.HasPrefix(state, "Z")
}

// A page that says what does not happen is found out, and written anew if asked.
func TestPlay(t *testing.T) {
	const f = "```"
	page := pages.Parse("X.md", "<!-- file: a/b -->\n"+f+"text\nline\n"+f+"\n\n"+f+"console\n$ cat a/b\nanother 5\n$ pwd\n/home/me\n"+f+"\n")
	dir := t.TempDir()
	shell := pages.NewShell(t, dir)
	var before []string
	text := shell.Play(page, pages.Play{Home: "/home/me", Update: true, Before: func(c string) { before = append(before, c) }})
	require.Equal(t, strings.Replace(page.Text, "another 5", "line", 1), text)
	require.Equal(t, []string{"cat a/b", "pwd"}, before)
	shell.Play(pages.Parse("X.md", text), pages.Play{Home: "/home/me"})

	probe := &failing{TB: t}
	func() {
		defer func() { _ = recover() }()
		pages.NewShell(probe, dir).Play(page, pages.Play{Home: "/home/me"})
	}()
	require.True(t, probe.failed)
}

// failing is a test that only notes that it failed.
type failing struct {
	testing.TB
	failed bool
}

func (f *failing) Errorf(string, ...any) { f.failed = true }
func (f *failing) FailNow()              { panic("failed") }
