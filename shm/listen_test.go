package shm_test

import (
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kongring/kongring/shm"
	"github.com/kongring/kongring/shm/leaktest"
)

func TestListenPathTooLong(t *testing.T) {
	path := socketPath(t)
	longest := path + strings.Repeat("x", shm.MaxPath-len(path))
	l, err := shm.Listen(longest, 0o600)
	require.NoError(t, err)
	require.Equal(t, longest, l.Path())
	_ = dialRaw(t, longest)
	require.NoError(t, l.Close())

	l, err = shm.Listen(longest+"x", 0o600)
	require.ErrorContains(t, err, "108 bytes, the limit is 107")
	require.ErrorContains(t, err, longest)
	require.Nil(t, l)
}

// The folder leaves room for a short name, and none for the temporary one.
func TestListenInALongFolder(t *testing.T) {
	leaktest.Check(t)
	dir := filepath.Dir(socketPath(t))
	dir = filepath.Join(dir, strings.Repeat("x", shm.MaxPath-len(dir)-len("//s")))
	require.NoError(t, os.Mkdir(dir, 0o700))
	path := filepath.Join(dir, "s")
	require.Len(t, path, shm.MaxPath)
	for range 2 {
		l, err := shm.Listen(path, 0o600)
		require.NoError(t, err)
		defer l.Close()
		_ = dialRaw(t, path)
		_ = accept(t, l)
	}
	require.Equal(t, []string{"s"}, names(t, dir))
}

// names lists what is in a folder.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestListenDirectoryMissing(t *testing.T) {
	path := filepath.Join(socketPath(t), "missing", "s")
	_, err := shm.Listen(path, 0o600)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, err, "stat "+filepath.Dir(path)+":")
}

// A name that is no file has no mode that could keep anybody out.
func TestListenNeedsAFile(t *testing.T) {
	leaktest.Check(t)
	t.Chdir(t.TempDir())
	for _, name := range []string{"@kongring-test", ""} {
		l, err := shm.Listen(name, 0o600)
		require.ErrorContains(t, err, fmt.Sprintf("%q is not the path of a file", name))
		require.Nil(t, l)
	}
	require.Empty(t, names(t, "."))
}

func TestListenWithoutPermission(t *testing.T) {
	dir := filepath.Dir(socketPath(t))
	require.NoError(t, os.Chmod(dir, 0o777)) // a stranger could remove theirs
	closed, readOnly, sticky := filepath.Join(dir, "closed"), filepath.Join(dir, "read-only"), filepath.Join(dir, "sticky")
	for _, d := range []string{closed, readOnly, sticky} {
		require.NoError(t, os.Mkdir(d, 0o755))
	}
	require.NoError(t, os.Chmod(sticky, 0o777|fs.ModeSticky))
	require.NoError(t, os.Chmod(closed, 0))
	require.NoError(t, os.Chmod(readOnly, 0o555))
	defer func() {
		for _, d := range []string{closed, readOnly} {
			require.NoError(t, os.Chmod(d, 0o755))
		}
	}()
	theirs := filepath.Join(dir, "theirs")
	l, err := shm.Listen(theirs, 0)
	require.NoError(t, err)
	defer l.Close()
	kept := filepath.Join(sticky, "s")
	k, err := shm.Listen(kept, 0o777)
	require.NoError(t, err)
	defer k.Close()

	for name, path := range map[string]string{
		"directory that cannot be searched": filepath.Join(closed, "s"),
		"directory that cannot be written":  filepath.Join(readOnly, "s"),
		"socket of another user":            theirs,
		"socket in a sticky directory":      kept,
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, start(t, "stranger", path).Wait())
		})
	}
	_, err = os.Lstat(theirs)
	require.NoError(t, err)
	require.Equal(t, []string{"s"}, names(t, sticky)) // and no temporary name
	_ = dialRaw(t, kept)
}

func TestListenRemovesStaleSocket(t *testing.T) {
	path := socketPath(t)
	leaveSocket(t, path)
	l, err := shm.Listen(path, 0o600)
	require.NoError(t, err)
	_ = dialRaw(t, path)
	require.NoError(t, l.Close())
}

// leaveSocket leaves a socket file as a server does that was killed.
func leaveSocket(t *testing.T, path string) {
	t.Helper()
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	require.NoError(t, err)
	dead.SetUnlinkOnClose(false)
	require.NoError(t, dead.Close())
	info, err := os.Lstat(path)
	require.NoError(t, err)
	require.Equal(t, fs.ModeSocket, info.Mode().Type())
}

// A live server keeps the connections that it has, and those that wait for it.
func TestListenTakesOver(t *testing.T) {
	leaktest.Check(t)
	first := listen(t)
	_, took := first.TookOver()
	require.False(t, took)
	early := dialRaw(t, first.Path())

	second, err := shm.Listen(first.Path(), 0o660)
	require.NoError(t, err)
	defer second.Close()
	from, took := second.TookOver()
	require.True(t, took)
	require.Equal(t, os.Getpid(), from.PID)
	info, err := os.Lstat(second.Path())
	require.NoError(t, err)
	require.Equal(t, fs.ModeSocket|0o660, info.Mode())

	rings := func(peer *net.UnixConn, l *shm.Listener) {
		require.NoError(t, accept(t, l).Ring())
		_, err := io.ReadFull(peer, make([]byte, 1))
		require.NoError(t, err)
	}
	rings(early, first)
	probe, err := accept(t, first).Peek(patience)
	require.ErrorIs(t, err, io.EOF, "%d", probe)
	rings(dialRaw(t, second.Path()), second)
	require.NoError(t, first.Close())
	rings(dialRaw(t, second.Path()), second)
	require.Equal(t, []string{"s"}, names(t, filepath.Dir(second.Path())))
}

// Servers come and go, each beside the one before: a client always finds one.
func TestListenLeavesNoGap(t *testing.T) {
	l, err := shm.Listen(socketPath(t), 0o600)
	require.NoError(t, err)
	path := l.Path()
	stop := make(chan struct{})
	failed := async(func() error {
		for {
			select {
			case <-stop:
				return nil
			default:
			}
			peer, err := net.Dial("unix", path)
			if err != nil {
				return err
			}
			_ = peer.Close()
		}
	})
	for range 200 {
		next, err := shm.Listen(path, 0o600)
		require.NoError(t, err)
		require.NoError(t, l.Close())
		l = next
	}
	close(stop)
	require.NoError(t, within(t, failed))
	require.NoError(t, l.Close())
	require.Empty(t, names(t, filepath.Dir(path)))
}

// A server that leaves while another one takes over does not take its socket
// away.
func TestListenDuringClose(t *testing.T) {
	l, err := shm.Listen(socketPath(t), 0o600)
	require.NoError(t, err)
	for range 2000 {
		closed := async(l.Close)
		next, err := shm.Listen(l.Path(), 0o600)
		require.NoError(t, err)
		require.NoError(t, within(t, closed))
		require.Equal(t, []string{"s"}, names(t, filepath.Dir(l.Path())))
		l = next
	}
	require.NoError(t, l.Close())
}

func TestListenTakesOverFromABusyServer(t *testing.T) {
	path := socketPath(t)
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(fd)
	require.NoError(t, unix.Bind(fd, &unix.SockaddrUnix{Name: path}))
	require.NoError(t, unix.Listen(fd, 0))
	for {
		waiting, err := net.Dial("unix", path)
		if err != nil {
			require.ErrorIs(t, err, unix.EAGAIN)
			break
		}
		defer waiting.Close()
	}
	l, err := shm.Listen(path, 0o600)
	require.NoError(t, err)
	defer l.Close()
	from, took := l.TookOver()
	require.True(t, took)
	require.Zero(t, from)
	_ = dialRaw(t, path)
	_ = accept(t, l)
}

func TestListenLeavesOtherFilesAlone(t *testing.T) {
	for name, make := range map[string]func(path string) error{
		"file":      func(path string) error { return os.WriteFile(path, []byte("precious"), 0o600) },
		"directory": func(path string) error { return os.Mkdir(path, 0o700) },
		"symlink":   func(path string) error { return os.Symlink("nowhere", path) },
		"pipe":      func(path string) error { return unix.Mkfifo(path, 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			path := socketPath(t)
			require.NoError(t, make(path))
			before, err := os.Lstat(path)
			require.NoError(t, err)
			_, err = shm.Listen(path, 0o644)
			require.ErrorContains(t, err, "not a socket")
			require.ErrorContains(t, err, path)
			after, err := os.Lstat(path)
			require.NoError(t, err)
			require.True(t, os.SameFile(before, after))
			require.Equal(t, before.Mode(), after.Mode())
			require.Equal(t, before.Size(), after.Size())
		})
	}
}

// A socket that speaks another protocol is no stale one.
func TestListenLeavesDatagramSocketAlone(t *testing.T) {
	path := socketPath(t)
	other, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	require.NoError(t, err)
	defer other.Close()
	_, err = shm.Listen(path, 0o600)
	require.ErrorIs(t, err, unix.EPROTOTYPE)
	_, err = os.Lstat(path)
	require.NoError(t, err)
}

func TestListenMode(t *testing.T) {
	for _, mode := range []fs.FileMode{0o600, 0o660, 0o777} {
		path := socketPath(t)
		l, err := shm.Listen(path, mode)
		require.NoError(t, err)
		info, err := os.Lstat(path)
		require.NoError(t, err)
		require.Equal(t, fs.ModeSocket|mode, info.Mode())
		require.NoError(t, l.Close())
	}
}

func TestListenerClose(t *testing.T) {
	l := listen(t)
	done := async(func() error { _, err := l.Accept(); return err })
	requireParked(t, "(*Listener).Accept")
	require.NoError(t, l.Close())
	require.ErrorIs(t, within(t, done), shm.ErrClosed)
	_, err := os.Lstat(l.Path())
	require.ErrorIs(t, err, fs.ErrNotExist)

	require.NoError(t, l.Close())
	_, err = l.Accept()
	require.ErrorIs(t, err, shm.ErrClosed)
	require.ErrorContains(t, err, l.Path())
}

func TestListenerCloseWithoutItsFile(t *testing.T) {
	l := listen(t)
	require.NoError(t, os.Remove(l.Path()))
	require.NoError(t, l.Close())
}

func TestListenerCloseRemovesOnlyItsOwn(t *testing.T) {
	first := listen(t)
	require.NoError(t, os.Remove(first.Path()))
	second, err := shm.Listen(first.Path(), 0o600)
	require.NoError(t, err)
	defer second.Close()
	require.NoError(t, first.Close())
	_ = dialRaw(t, second.Path())
}

// Many file systems give the inode of the removed socket to the next one.
func TestListenerCloseTwiceLeavesNextAlone(t *testing.T) {
	first := listen(t)
	require.NoError(t, first.Close())
	second, err := shm.Listen(first.Path(), 0o600)
	require.NoError(t, err)
	defer second.Close()
	require.NoError(t, first.Close())
	_ = dialRaw(t, second.Path())
}

func TestConnOutlivesListener(t *testing.T) {
	l := listen(t)
	peer := dialRaw(t, l.Path())
	c := accept(t, l)
	require.NoError(t, l.Close())
	require.NoError(t, c.Ring())
	n, err := peer.Read(make([]byte, 8))
	require.NoError(t, err)
	require.Equal(t, 1, n)
}

func TestAcceptReportsTheSystem(t *testing.T) {
	l := listen(t)
	_ = dialRaw(t, l.Path())
	var old unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &old))
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 0, Max: old.Max}))
	_, err := l.Accept()
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &old))
	require.ErrorIs(t, err, unix.EMFILE)
	_ = accept(t, l)
}
