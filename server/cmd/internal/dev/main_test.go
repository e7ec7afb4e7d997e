package dev_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/server"
	"github.com/kongring/kongring/server/cmd/internal/exit"
	"github.com/kongring/kongring/server/cmd/internal/root"
	"github.com/kongring/kongring/shm/leaktest"
)

// patience is for one build, and all that goes with it, on a busy machine.
const patience = 3 * time.Minute

// name is that of the plugin under development.
const name = "greet"

func TestMain(m *testing.M) { leaktest.VerifyTestMain(m) }

// plugin is the source of one, with a place for its socket and what is built.
type plugin struct {
	*testing.T
	dir string
}

// newPlugin writes a plugin with kongring new. Temporary files are in a folder of
// the test's own.
func newPlugin(t *testing.T) plugin {
	t.Helper()
	if testing.Short() {
		t.Skip("skipped: builds programs")
	}
	source, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/kongring/kongring").Output()
	require.NoError(t, err)
	out, err := exec.Command("go", "mod", "download").CombinedOutput()
	require.NoError(t, err, string(out))
	t.Setenv("GOPROXY", "off")
	t.Setenv("GOSUMDB", "off")
	dir, err := os.MkdirTemp("", "kd") // short: a socket lies in it
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	p := plugin{t, dir}
	require.NoError(t, os.Mkdir(p.path("tmp"), 0o755))
	t.Setenv("TMPDIR", p.path("tmp"))
	var said bytes.Buffer
	args := []string{"new", name, "--dir", p.path(name), "--replace", strings.TrimSpace(string(source))}
	require.Equal(t, exit.Fine, root.Main(args, &said, &said), said.String())
	return p
}

func (p plugin) path(name string) string { return filepath.Join(p.dir, name) }

func (p plugin) socket() string { return p.path("s") }

// edit changes main.go, and saves it as editors do that put a new file in its
// place.
func (p plugin) edit(old, by string) {
	p.Helper()
	path := p.path(name + "/main.go")
	text, err := os.ReadFile(path)
	require.NoError(p, err)
	require.Contains(p, string(text), old)
	aside := p.path(name + "/.main.go.swp")
	require.NoError(p, os.WriteFile(aside, []byte(strings.Replace(string(text), old, by, 1)), 0o644))
	require.NoError(p, os.Rename(aside, path))
}

// nothingLeft checks that neither the socket nor a temporary file is there.
func (p plugin) nothingLeft() {
	p.Helper()
	require.NoFileExists(p, p.socket())
	left, err := os.ReadDir(p.path("tmp"))
	require.NoError(p, err)
	require.Empty(p, left)
}

// session is a kongring dev that runs in this process.
type session struct {
	plugin
	said  *said
	ctrlC func()
	ended chan int // gets its status
}

// said is what a command printed, with a mark up to which a test has read it.
type said struct {
	mu   sync.Mutex
	text bytes.Buffer
	read int
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

// next gives what fits beyond the mark, and sets the mark behind it.
func (s *said) next(what *regexp.Regexp) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	rest := s.text.Bytes()[s.read:]
	at := what.FindSubmatchIndex(rest)
	if at == nil {
		return nil
	}
	s.read += at[1]
	var found []string
	for i := 0; i < len(at); i += 2 {
		found = append(found, string(rest[at[i]:at[i+1]]))
	}
	return found
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// dev starts the command.
func (p plugin) dev(more ...string) session {
	p.Helper()
	ctx, cancel := context.WithCancelCause(context.Background())
	s := session{plugin: p, said: &said{}, ended: make(chan int, 1), ctrlC: func() { cancel(exit.Interrupted) }}
	cmd := root.New()
	cmd.SetArgs(append(append([]string{"dev", p.path(name)}, more...), "--", "-socket", p.socket()))
	cmd.SetOut(s.said)
	cmd.SetErr(s.said)
	go func() {
		status, _ := exit.Status(cmd.ExecuteContext(ctx))
		s.ended <- status
	}()
	p.Cleanup(func() {
		cancel(nil)
		if p.Failed() {
			p.Log(s.said)
		}
	})
	return s
}

// waits waits until the command says something, after what was waited for before.
func (s session) waits(format string, args ...any) []string {
	s.Helper()
	what := regexp.MustCompile(fmt.Sprintf(format, args...))
	var found []string
	require.Eventually(s, func() bool { found = s.said.next(what); return found != nil }, patience, 5*time.Millisecond,
		"%s\nis not in:\n%s", what, s.said)
	return found
}

// serves waits until a new server does, and gives its pid.
func (s session) serves() int {
	s.Helper()
	pid, err := strconv.Atoi(s.waits(`built in \S+: pid (\d+) serves at %s\n`, s.socket())[1])
	require.NoError(s, err)
	stats, err := server.Inspect(s.socket(), patience)
	require.NoError(s, err)
	require.Equal(s, pid, stats.PID)
	return pid
}

// ends waits for the command's end after Ctrl-C.
func (s session) ends() {
	s.Helper()
	s.ctrlC()
	select {
	case status := <-s.ended:
		require.Equal(s, exit.Signaled+2, status)
		require.NotContains(s, s.said.String(), "was killed")
	case <-time.After(patience):
		require.Fail(s, "it does not end")
	}
	s.nothingLeft()
}
