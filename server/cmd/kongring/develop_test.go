package main_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/luabridge/pages"
)

// checkout has this source in the folder checkout.
func (s *stage) checkout() {
	s.Helper()
	pages.Run(s, ".", "go mod download")
	for _, name := range []string{"GOPROXY", "GOSUMDB"} {
		s.Setenv(name, "off")
		out, ok := s.shell.Run("export "+name+"=off", true)
		require.True(s, ok, out)
	}
	if err := os.Symlink(pages.Root(s), s.path("checkout")); !errors.Is(err, fs.ErrExist) {
		require.NoError(s, err)
	}
}

// dev runs a command that goes on for ever: a save with a fault, one without, and
// Ctrl-C.
func (s *stage) dev(command string) string {
	s.Helper()
	out, err := os.Create(s.path("dev.log"))
	require.NoError(s, err)
	defer out.Close()
	said := func() string {
		text, err := os.ReadFile(out.Name())
		require.NoError(s, err)
		return string(text)
	}
	cmd := exec.Command(s.kongring, strings.Fields(command)[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.dir, out, out
	require.NoError(s, cmd.Start())
	main := s.path("my-plugin/main.go")
	text, err := os.ReadFile(main)
	require.NoError(s, err)
	for _, step := range []struct{ before, old, by string }{
		{"serves at", "", ""}, {"serves on", "func New()", "func New("}, {"serves at", `"hello"`, `"hi"`},
	} {
		count := strings.Count(said(), step.before)
		if step.old != "" {
			require.NoError(s, os.WriteFile(main, []byte(strings.Replace(string(text), step.old, step.by, 1)), 0o644))
		}
		require.Eventually(s, func() bool { return strings.Count(said(), step.before) > count },
			patience, 5*time.Millisecond, step.before)
	}
	require.NoError(s, cmd.Process.Signal(syscall.SIGINT))
	require.Error(s, cmd.Wait())
	require.NoFileExists(s, s.path("m"))
	return said()
}

// TestDeveloping runs the commands that the page about developing begins with.
func TestDeveloping(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: builds programs")
	}
	s := newStage(t)
	s.checkout()
	page, err := pages.Read("../../DEVELOPING.md")
	require.NoError(t, err)
	script := page.Blocks[0].Text
	// The command is of no published version here.
	const first = "kongring new my-plugin"
	require.Contains(t, script, first+"\n")
	out, ok := s.shell.Run(strings.Replace(script, first, first+" --replace "+s.path("checkout"), 1), true)
	require.True(t, ok, out)
	require.FileExists(t, s.path("my-plugin/lua/kong/plugins/my-plugin/schema.lua"))
}
