package benchmark_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/luabridge/host"
	"github.com/kongring/kongring/server/cmd/internal/exit"
	"github.com/kongring/kongring/server/cmd/internal/root"
)

const patience = 5 * time.Minute

var kongring string // binary of the command

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "kongring-bench-test-")
	if err == nil {
		err = os.Chmod(dir, 0o755) // for the test that is nobody
	}
	if err == nil {
		kongring = filepath.Join(dir, "kongring")
		var out []byte
		if out, err = exec.Command("go", "build", "-o", kongring, "../../kongring").CombinedOutput(); err != nil {
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

// command is a benchmark that is as short as can be, in a folder of its own that is
// no checkout, without a Go on its PATH.
func command(t *testing.T, dir string, args ...string) *exec.Cmd {
	t.Helper()
	if err := host.Available(); err != nil {
		t.Skip(err)
	}
	if _, err := exec.LookPath("wrk"); err != nil {
		t.Skip(err)
	}
	cmd := exec.Command(kongring, append([]string{"bench", "--calls", "0,3", "--connections", "2", "--seconds", "0.05"}, args...)...)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "tmp"), 0o755))
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "TMPDIR="+filepath.Join(dir, "tmp"), "PATH=/usr/sbin:/usr/bin:/sbin:/bin")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// start starts it.
func start(t *testing.T, dir string, args ...string) (cmd *exec.Cmd, out, errOut *os.File) {
	t.Helper()
	cmd = command(t, dir, args...)
	var err error
	out, err = os.Create(filepath.Join(dir, "stdout"))
	require.NoError(t, err)
	errOut, err = os.Create(filepath.Join(dir, "stderr"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = out.Close(); _ = errOut.Close() })
	cmd.Stdout, cmd.Stderr = out, errOut
	require.NoError(t, cmd.Start())
	return cmd, out, errOut
}

// shortDir is a folder in whose folder tmp a socket has room.
func shortDir(t *testing.T) string {
	dir, err := os.MkdirTemp("/tmp", "kb")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	return string(text)
}

// left gives the processes of a group that there still are, and temporary files.
func left(t *testing.T, dir string) (list []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, "tmp"))
	require.NoError(t, err)
	for _, e := range entries {
		list = append(list, e.Name())
	}
	commands, err := filepath.Glob("/proc/[0-9]*/environ")
	require.NoError(t, err)
	for _, path := range commands {
		environ, _ := os.ReadFile(path) // it may be gone
		if bytes.Contains(environ, []byte("TMPDIR="+filepath.Join(dir, "tmp"))) {
			list = append(list, path)
		}
	}
	return list
}

func TestBench(t *testing.T) {
	dir := shortDir(t)
	cmd, out, errOut := start(t, dir, "--out", "results")
	err := cmd.Wait()
	said, progress := read(t, out.Name()), read(t, errOut.Name())
	require.NoError(t, err, progress)
	for _, mode := range []string{"lua", "ring", "socket", "stock"} {
		require.Regexp(t, `(?m)^ +`+mode+` +2 +3 +[1-9]\d* `, said)
	}
	require.Contains(t, said, "wrote results/kongring-requests.png\n")
	require.Regexp(t, `(?m)^ +\d+ %  requests: round 1 of 1`, progress)
	require.NotContains(t, progress, "\033", "it is no terminal")

	picture, err := os.Open(filepath.Join(dir, "results/kongring-requests.png"))
	require.NoError(t, err)
	defer picture.Close()
	_, err = png.Decode(picture)
	require.NoError(t, err)
	require.Contains(t, read(t, filepath.Join(dir, "results/kongring-requests.svg")), "2 connections")
	var report struct {
		HTTP []struct {
			Mode string
			RPS  float64
		}
	}
	require.NoError(t, json.Unmarshal([]byte(read(t, filepath.Join(dir, "results/kongring-requests.json"))), &report))
	require.Len(t, report.HTTP, 8)
	require.Empty(t, left(t, dir))
}

// Ctrl-C in a terminal reaches the whole group, at any time.
func TestBenchCtrlC(t *testing.T) {
	for _, until := range []string{"limits:", "events:", "requests:", "bodies:"} {
		t.Run(strings.Trim(until, ":"), func(t *testing.T) {
			dir := shortDir(t)
			cmd, _, errOut := start(t, dir)
			require.Eventually(t, func() bool { return strings.Contains(read(t, errOut.Name()), until) }, patience, time.Millisecond)
			require.NoError(t, syscall.Kill(-cmd.Process.Pid, syscall.SIGINT))
			require.Error(t, cmd.Wait())
			require.Equal(t, exit.Signaled+2, cmd.ProcessState.ExitCode(), read(t, errOut.Name()))
			require.True(t, strings.HasSuffix(read(t, errOut.Name()), "kongring: ended by: interrupt\n"))
			require.Eventually(t, func() bool { return len(left(t, dir)) == 0 }, patience, time.Millisecond, "%v", left(t, dir))
			require.NoFileExists(t, filepath.Join(dir, "kongring-requests.txt"))
		})
	}
}

// Who reads its lines may leave: the next line ends it, and all that it started.
func TestBenchClosedPipe(t *testing.T) {
	dir := shortDir(t)
	reader, writer, err := os.Pipe()
	require.NoError(t, err)
	cmd := command(t, dir)
	cmd.Stdout, cmd.Stderr = writer, writer
	require.NoError(t, cmd.Start())
	require.NoError(t, writer.Close())
	var said []byte
	for buffer := make([]byte, 4096); !bytes.Contains(said, []byte("limits:")); {
		n, err := reader.Read(buffer)
		require.NoError(t, err, string(said))
		said = append(said, buffer[:n]...)
	}
	require.NoError(t, reader.Close())
	require.Error(t, cmd.Wait())
	require.Eventually(t, func() bool { return len(left(t, dir)) == 0 }, patience, time.Millisecond, "%v", left(t, dir))
}

func run(args ...string) (status int, out, errOut string) {
	var o, e bytes.Buffer
	status = root.Main(args, &o, &e)
	return status, o.String(), e.String()
}

func TestBenchBadInput(t *testing.T) {
	for _, args := range [][]string{
		{"--calls", "-1"}, {"--calls", "1001"}, {"--calls", "1,1"}, {"--calls", "x"}, {"--connections", "0"},
		{"--rounds", "0"}, {"--seconds", "0"}, {"--seconds", "NaN"}, {"more"},
	} {
		status, out, errOut := run(append([]string{"bench"}, args...)...)
		require.NotEqual(t, exit.Fine, status, args)
		require.Empty(t, out)
		require.Equal(t, 1, strings.Count(errOut, "\n"), errOut)
	}
	status, _, errOut := run("bench", "--calls", "1,1")
	require.Equal(t, exit.Usage, status)
	require.Contains(t, errOut, "different numbers from 0 to 1000")
}

// What is missing is one line, with the packages that have it.
func TestBenchSaysWhatIsMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	status, _, errOut := run("bench")
	require.Equal(t, exit.Failed, status)
	require.Contains(t, errOut, "wrk")
	require.Contains(t, errOut, "apt-get install ")
	require.Contains(t, errOut, "gcc libc6-dev")
	require.Equal(t, 1, strings.Count(errOut, "\n"))
}

// Where it may not write it says so before it measures.
func TestBenchWithoutPermission(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("skipped: not root, who can be nobody")
	}
	if err := host.Available(); err != nil {
		t.Skip(err)
	}
	cmd := exec.Command(kongring, "bench", "--out", filepath.Join(t.TempDir(), "results"))
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	said, err := cmd.CombinedOutput()
	require.Error(t, err)
	require.Equal(t, exit.Failed, cmd.ProcessState.ExitCode())
	require.Regexp(t, "^kongring: .*permission denied: choose a folder.*\n$", string(said))
}
