package interop

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kongring/kongring/luabridge"
	"github.com/kongring/kongring/ring"
	"github.com/kongring/kongring/shm"
	"github.com/kongring/kongring/shm/leaktest"
)

const (
	// app is the version of what the test segments hold.
	app = 11
	// patience is how long nothing may happen before a test gives up.
	patience = 30 * time.Second
)

// role makes the test binary play the other process.
const role = "KONGRING_INTEROP_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "":
		leaktest.VerifyTestMain(m)
	case "stream":
		if err := streamChild(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, "child:", err)
			os.Exit(1)
		}
	}
}

// process is the other side of a test.
type process struct {
	cmd    *exec.Cmd
	stdout bytes.Buffer
	stderr bytes.Buffer
}

// start starts cmd; the end of the test kills what still runs.
func start(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{cmd: cmd}
	cmd.Stdout, cmd.Stderr = &p.stdout, &p.stderr
	cmd.WaitDelay = patience
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	return p
}

// finish waits for the process and gives what it printed.
func (p *process) finish(t *testing.T) string {
	t.Helper()
	err := p.cmd.Wait()
	require.NoError(t, err, p.stderr.String())
	return p.stdout.String()
}

// kill ends the process and gives what it had to say.
func (p *process) kill() error {
	_ = p.cmd.Process.Kill()
	err := p.cmd.Wait()
	return fmt.Errorf("the other process: %w: %s", err, p.stderr.String())
}

// luajit prepares a script of testdata with files as its descriptors 3, 4, ...
func luajit(t *testing.T, script string, files []*os.File, args ...any) *exec.Cmd {
	t.Helper()
	path, err := exec.LookPath("luajit")
	if err != nil {
		t.Skip("skipped: no luajit")
	}
	// Opened, so that a cached result of this test is old when one changes.
	for _, pattern := range []string{"testdata/*.lua", "../kongring/*.lua"} {
		names, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, name := range names {
			_, err := os.ReadFile(name)
			require.NoError(t, err)
		}
	}
	library, err := luabridge.BuildHelper("cc", t.TempDir())
	require.NoError(t, err)
	cmd := exec.Command(path, "testdata/"+script)
	for _, arg := range args {
		cmd.Args = append(cmd.Args, fmt.Sprint(arg))
	}
	cmd.ExtraFiles = files
	cmd.Env = append(os.Environ(), "LUA_PATH=../?.lua;testdata/?.lua;;", "KONGRING_HELPER="+library)
	return cmd
}

// listen listens on a socket with a short path.
func listen(t *testing.T) *shm.Listener {
	t.Helper()
	dir, err := os.MkdirTemp("", "interop")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	l, err := shm.Listen(filepath.Join(dir, "s"), 0o600)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	return l
}

// newSegment makes a segment with formatted rings of the given capacity and
// one more page, zero, for words that a test needs besides.
func newSegment(t *testing.T, rings, capacity int) *shm.Segment {
	t.Helper()
	var sizes []int
	for range rings {
		sizes = append(sizes, ring.Size(capacity))
	}
	s, err := shm.Create("kongring-interop", app, 1, append(sizes, 4096)...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	for i := range rings {
		require.NoError(t, ring.Format(s.Region(i)))
	}
	return s
}

func newBell(t *testing.T) *shm.Bell {
	t.Helper()
	b, err := shm.NewBell()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	return b
}

// handOver gives descriptors of a segment and of the bell that rings this
// side, as a worker that attaches receives them.
func handOver(t *testing.T, seg *shm.Segment, bell *shm.Bell) []*os.File {
	t.Helper()
	l := listen(t)
	socket, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: l.Path(), Net: "unix"})
	require.NoError(t, err)
	defer socket.Close()
	conn, err := l.Accept()
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.Welcome(app, shm.Welcome{}, seg, bell))

	oob := make([]byte, unix.CmsgSpace(2*4))
	_, oobn, _, _, err := socket.ReadMsgUnix(make([]byte, shm.WelcomeSize), oob)
	require.NoError(t, err)
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	require.NoError(t, err)
	require.Len(t, messages, 1)
	fds, err := unix.ParseUnixRights(&messages[0])
	require.NoError(t, err)
	var files []*os.File
	for _, fd := range fds {
		unix.CloseOnExec(fd)
		file := os.NewFile(uintptr(fd), "handed over")
		t.Cleanup(func() { require.NoError(t, file.Close()) })
		files = append(files, file)
	}
	return files
}

// newRinger makes a bell that rings another process, and the descriptor to give
// to it.
func newRinger(t *testing.T) (*shm.Bell, *os.File) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	require.NoError(t, err)
	bell := shm.OpenBell(os.NewFile(uintptr(fds[0]), "ringer"))
	t.Cleanup(func() { require.NoError(t, bell.Close()) })
	theirs := os.NewFile(uintptr(fds[1]), "rung")
	t.Cleanup(func() { require.NoError(t, theirs.Close()) })
	return bell, theirs
}

// watch calls giveUp when progress stands still for too long: a wake-up was
// missed. The end of the test ends it.
func watch(t *testing.T, progress *atomic.Int64, giveUp func()) {
	t.Helper()
	done, gone := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(done); <-gone })
	go func() {
		defer close(gone)
		last, since := progress.Load(), time.Now()
		for ticker := time.NewTicker(time.Second / 4); ; {
			select {
			case <-done:
				ticker.Stop()
				return
			case <-ticker.C:
				if now := progress.Load(); now != last {
					last, since = now, time.Now()
				} else if time.Since(since) > patience {
					giveUp()
				}
			}
		}
	}()
}
