package shm_test

import (
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
		require.ErrorIs(t, err, fs.ErrNotExist, "%q", name)
		require.Nil(t, l)
	}
}

func TestListenWithoutPermission(t *testing.T) {
	dir := filepath.Dir(socketPath(t))
	require.NoError(t, os.Chmod(dir, 0o777)) // a stranger could remove theirs
	closed, readOnly := filepath.Join(dir, "closed"), filepath.Join(dir, "read-only")
	for _, d := range []string{closed, readOnly} {
		require.NoError(t, os.Mkdir(d, 0o755))
	}
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

	for name, path := range map[string]string{
		"directory that cannot be searched": filepath.Join(closed, "s"),
		"directory that cannot be written":  filepath.Join(readOnly, "s"),
		"socket of another user":            theirs,
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, start(t, "stranger", path).Wait())
		})
	}
	_, err = os.Lstat(theirs)
	require.NoError(t, err)
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

func TestListenLeavesLiveServerAlone(t *testing.T) {
	l := listen(t)
	second, err := shm.Listen(l.Path(), 0o600)
	require.ErrorIs(t, err, shm.ErrInUse)
	require.ErrorContains(t, err, l.Path())
	require.Nil(t, second)
	_ = accept(t, l) // the look whether somebody is there
	_ = dialRaw(t, l.Path())
	_ = accept(t, l)
}

func TestListenLeavesBusyServerAlone(t *testing.T) {
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
	_, err = shm.Listen(path, 0o600)
	require.ErrorIs(t, err, shm.ErrInUse)
	require.FileExists(t, path)
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
