package pages

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Patience is how long a command may take.
const Patience = 5 * time.Minute

// Shell is one shell in which the commands of a page run, one after the other, as
// its reader types them: folders, variables and what runs in the background stay.
// It belongs to one test, at whose end it ends what runs.
type Shell struct {
	t       testing.TB
	dir     string // where it begins
	scratch string
	cmd     *exec.Cmd
	in      io.WriteCloser
	status  *os.File
	lines   *bufio.Reader
	count   int
	gone    bool // it has ended
}

// NewShell starts a shell in a folder. env comes after the test's own.
func NewShell(t testing.TB, dir string, env ...string) *Shell {
	t.Helper()
	s := &Shell{t: t, dir: dir, scratch: t.TempDir(), cmd: exec.Command("sh")}
	s.cmd.Dir, s.cmd.Env = dir, append(os.Environ(), env...)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	status, other, err := os.Pipe()
	require.NoError(t, err)
	s.status, s.lines = status, bufio.NewReader(status)
	s.cmd.ExtraFiles = []*os.File{other} // descriptor 3
	s.in, err = s.cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, s.cmd.Start())
	require.NoError(t, other.Close())
	t.Cleanup(s.end)
	return s
}

// Run runs a script and gives what it prints, and whether it succeeded. With
// strict the first command that fails ends it, and the shell.
func (s *Shell) Run(script string, strict bool) (out string, ok bool) {
	s.t.Helper()
	s.count++
	name := filepath.Join(s.scratch, fmt.Sprint(s.count))
	mode := "set +e\n"
	if strict {
		mode = "set -e\n"
	}
	require.NoError(s.t, os.WriteFile(name, []byte(mode+script+"\n"), 0o600))
	// Not descriptor 3 for what runs in the background: it would keep it open.
	_, err := fmt.Fprintf(s.in, "{ . %[1]s; } </dev/null >%[1]s.out 2>&1 3>&-; echo $? >&3\n", name)
	require.NoError(s.t, err)
	require.NoError(s.t, s.status.SetReadDeadline(time.Now().Add(Patience)))
	status, err := s.lines.ReadString('\n')
	text, failed := os.ReadFile(name + ".out")
	require.NoError(s.t, failed)
	s.gone = err == io.EOF
	if err != nil && !s.gone {
		require.NoError(s.t, err, "%s\nprinted so far: %s", script, text)
	}
	return string(text), err == nil && strings.TrimSpace(status) == "0"
}

// end ends what runs in the background, then the shell, and waits for both; for
// the latter alone where a script has ended the shell.
func (s *Shell) end() {
	if s.gone { // and left what it had started behind
		_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGTERM)
	}
	// Not $(jobs -p): dash has none in the shell that this would start.
	_, _ = fmt.Fprintf(s.in, "set +e; jobs -p >%[1]s; kill $(cat %[1]s) 2>/dev/null; wait\n", filepath.Join(s.scratch, "jobs"))
	_ = s.in.Close()
	ended := make(chan struct{})
	go func() { _ = s.cmd.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(Patience):
		_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
		<-ended
		s.t.Error("what the page started does not end by SIGTERM")
	}
	_ = s.status.Close()
}

// Run runs a script in a shell of its own, in a folder. It has to succeed; what
// it prints is given.
func Run(t testing.TB, dir, script string) string {
	t.Helper()
	cmd := exec.Command("sh", "-eu", "-c", script)
	cmd.Dir = dir
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	require.NoError(t, cmd.Run(), "%s\nin %s: %s%s", script, dir, out.String(), errs.String())
	return out.String()
}

// Root is the folder of this project's module.
func Root(t testing.TB) string {
	t.Helper()
	return strings.TrimSpace(Run(t, ".", "go list -m -f '{{.Dir}}' github.com/kongring/kongring"))
}
