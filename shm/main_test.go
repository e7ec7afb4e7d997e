package shm_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kongring/kongring/shm"
	"github.com/kongring/kongring/shm/leaktest"
)

const (
	// app is the version of what the test segments hold.
	app = 7
	// patience is how long a test waits for what has to happen.
	patience = 30 * time.Second
	// moment is a timeout that has to expire.
	moment = 20 * time.Millisecond
)

// role makes the test binary play another process. Its value names the part,
// rolePath the file it acts on.
const (
	role     = "KONGRING_TEST_ROLE"
	rolePath = "KONGRING_TEST_PATH"
)

var roles = map[string]func(path string) error{
	"worker":    playWorker,
	"stranger":  playStranger,
	"no member": playNoMember,
	"neighbour": playNeighbour,
}

func TestMain(m *testing.M) {
	if play := roles[os.Getenv(role)]; play != nil {
		if err := play(os.Getenv(rolePath)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	leaktest.VerifyTestMain(m)
}

// start starts the test binary in a role. Its stdin is a pipe from this
// process, so that it cannot outlive it.
func start(t *testing.T, name, path string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), role+"="+name, rolePath+"="+path)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	return cmd
}

// playWorker attaches, leaves a text in region 0, rings and lives on until it
// is killed or its parent is gone.
func playWorker(path string) error {
	a, err := shm.Dial(path, shm.Hello{App: app, Kind: shm.HelloAttach}, patience)
	if err != nil {
		return err
	}
	copy(a.Segment.Region(0), "from another process")
	if err := a.Bell.Ring(); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// playStranger listens on path as a user who may not.
func playStranger(path string) error {
	if err := becomeNobody(); err != nil {
		return err
	}
	l, err := shm.Listen(path, 0o600)
	if err == nil {
		_ = l.Close()
		return fmt.Errorf("listens on %s", path)
	}
	if !errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("not a matter of permission: %w", err)
	}
	return nil
}

// becomeNobody gives up root's rights, if this process has them.
func becomeNobody() error {
	if os.Geteuid() != 0 {
		return nil
	}
	const nobody = 65534
	return errors.Join(syscall.Setgroups(nil), syscall.Setgid(nobody), syscall.Setuid(nobody))
}

// socketPath gives a path that is short enough however long the test's name.
func socketPath(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "shm")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return filepath.Join(dir, "s")
}

func listen(t testing.TB) *shm.Listener {
	t.Helper()
	l, err := shm.Listen(socketPath(t), 0o600)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	return l
}

func create(t testing.TB, sizes ...int) *shm.Segment {
	t.Helper()
	s, err := shm.Create("kongring-test", app, 42, sizes...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func newBell(t testing.TB) *shm.Bell {
	t.Helper()
	b, err := shm.NewBell()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	return b
}

// rawPair gives a connection as the server accepted it and the bare socket of
// its peer.
func rawPair(t testing.TB) (*shm.Conn, *net.UnixConn) {
	t.Helper()
	l := listen(t)
	peer := dialRaw(t, l.Path())
	return accept(t, l), peer
}

func dialRaw(t testing.TB, path string) *net.UnixConn {
	t.Helper()
	peer, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	require.NoError(t, err)
	t.Cleanup(func() { _ = peer.Close() })
	return peer
}

func accept(t testing.TB, l *shm.Listener) *shm.Conn {
	t.Helper()
	c, err := l.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

// attach lets a peer say hello of the given kind and the server welcome it.
func attach(t testing.TB, kind uint32, seg *shm.Segment, bell *shm.Bell) (*shm.Conn, *shm.Attachment) {
	t.Helper()
	l := listen(t)
	dialed := dial(l.Path(), shm.Hello{App: app, Kind: kind}, patience)
	c := accept(t, l)
	h, err := c.ReadHello(app, patience)
	require.NoError(t, err)
	require.Equal(t, kind, h.Kind)
	require.NoError(t, c.Welcome(app, shm.Welcome{Session: 42}, seg, bell))
	d := within(t, dialed)
	require.NoError(t, d.err)
	t.Cleanup(func() { require.NoError(t, d.a.Close()) })
	return c, d.a
}

type dialed struct {
	a   *shm.Attachment
	err error
}

func dial(path string, h shm.Hello, timeout time.Duration) <-chan dialed {
	return async(func() dialed {
		a, err := shm.Dial(path, h, timeout)
		return dialed{a, err}
	})
}

// async calls f in a goroutine and gives what it returns.
func async[T any](f func() T) <-chan T {
	result := make(chan T, 1)
	go func() { result <- f() }()
	return result
}

func within[T any](t testing.TB, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		buf := make([]byte, 1<<20)
		require.FailNow(t, "nothing happens", "%s", buf[:runtime.Stack(buf, true)])
		panic("not reached")
	}
}

// requireParked waits until a goroutine in the given method sleeps, by the
// poller or a channel, which takes no thread.
func requireParked(t testing.TB, method string) {
	t.Helper()
	eventually(t, func() bool { return parked(method) }, "nobody parked in %s", method)
}

func parked(method string) bool {
	buf := make([]byte, 1<<20)
	for stack := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		header, _, _ := strings.Cut(stack, "\n")
		if (strings.Contains(header, "[IO wait") || strings.Contains(header, "[chan receive")) &&
			strings.Contains(stack, "/shm."+method+"(") {
			return true
		}
	}
	return false
}

func eventually(t testing.TB, condition func() bool, format string, args ...any) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			require.FailNowf(t, "waited in vain", format, args...)
		}
	}
}

// flags gives the descriptor and the status flags of file.
func flags(t testing.TB, file syscall.Conn) (descriptor, status int) {
	t.Helper()
	control(t, file, func(fd int) {
		var err error
		descriptor, err = unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		require.NoError(t, err)
		status, err = unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
		require.NoError(t, err)
	})
	return descriptor, status
}

func control(t testing.TB, file syscall.Conn, f func(fd int)) {
	t.Helper()
	raw, err := file.SyscallConn()
	require.NoError(t, err)
	require.NoError(t, raw.Control(func(fd uintptr) { f(int(fd)) }))
}

// duplicate gives another descriptor of file, as a hand-over does.
func duplicate(t testing.TB, file *os.File) *os.File {
	t.Helper()
	var dup *os.File
	control(t, file, func(fd int) {
		n, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		require.NoError(t, err)
		dup = os.NewFile(uintptr(n), file.Name())
	})
	return dup
}
