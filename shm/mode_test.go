package shm_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kongring/kongring/shm"
	"github.com/kongring/kongring/shm/leaktest"
)

// From the moment that its file is there, a socket is its owner's alone: group
// and mode come after, and at last the name that others know.
func TestFirstModeOfASocket(t *testing.T) {
	defer unix.Umask(unix.Umask(0)) // which hides nothing
	for _, mode := range []fs.FileMode{0, 0o600, 0o660, 0o777} {
		path := socketPath(t)
		socket, err := shm.Bind(path, mode)
		require.NoError(t, err)
		defer socket.Close()
		info, err := os.Lstat(path)
		require.NoError(t, err)
		require.Equal(t, fs.ModeSocket|mode&0o700, info.Mode())

		_, err = shm.Settle(path, mode, -1)
		require.NoError(t, err)
		info, err = os.Lstat(path)
		require.NoError(t, err)
		require.Equal(t, fs.ModeSocket|mode, info.Mode())
	}
}

// Somebody who may write into the folder puts a link in the place of the socket:
// what it leads to is left alone.
func TestModeOfAnothersFile(t *testing.T) {
	leaktest.Check(t)
	path := socketPath(t)
	secret := path + "ecret"
	require.NoError(t, os.WriteFile(secret, nil, 0o600))
	require.NoError(t, os.Symlink(secret, path))
	for _, path := range []string{path, secret} {
		_, err := shm.Settle(path, 0o666, -1)
		require.ErrorContains(t, err, "in the place of the socket")
	}
	info, err := os.Stat(secret)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode())
}

func TestListenGroup(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("skipped: to give a file to any group takes root")
	}
	const group = 4711
	path := socketPath(t)
	l, err := shm.ListenGroup(path, 0o660, group)
	require.NoError(t, err)
	defer l.Close()
	info, err := os.Lstat(path)
	require.NoError(t, err)
	require.Equal(t, fs.ModeSocket|0o660, info.Mode())
	require.EqualValues(t, group, info.Sys().(*syscall.Stat_t).Gid)
	require.EqualValues(t, 0, info.Sys().(*syscall.Stat_t).Uid)

	// A group that the process is not in.
	dir := filepath.Dir(path)
	require.NoError(t, os.Chmod(dir, 0o777))
	require.NoError(t, start(t, "no member", filepath.Join(dir, "other")).Wait())
	require.Equal(t, []string{"s"}, names(t, dir))
}

// playNoMember wants to listen with a socket of root's group.
func playNoMember(path string) error {
	if err := becomeNobody(); err != nil {
		return err
	}
	l, err := shm.ListenGroup(path, 0o660, 0)
	if err == nil {
		_ = l.Close()
		return fmt.Errorf("listens on %s", path)
	}
	if !errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("not a matter of permission: %w", err)
	}
	return nil
}

// A socket for others than workers is its owner's, its group's and its mode's as
// theirs is, but takes nobody's place.
func TestListenFile(t *testing.T) {
	leaktest.Check(t)
	path := socketPath(t)
	l, err := shm.ListenFile(path, 0o660, os.Getgid())
	require.NoError(t, err)
	info, err := os.Lstat(path)
	require.NoError(t, err)
	require.Equal(t, fs.ModeSocket|0o660, info.Mode())
	require.EqualValues(t, os.Getgid(), info.Sys().(*syscall.Stat_t).Gid)
	_, err = shm.ListenFile(path, 0o660, -1)
	require.ErrorIs(t, err, syscall.EADDRINUSE)
	require.NoError(t, l.Close())
	require.NoFileExists(t, path)

	require.NoError(t, os.WriteFile(path, nil, 0o600))
	_, err = shm.ListenFile(path, 0o660, -1)
	require.ErrorIs(t, err, syscall.EADDRINUSE)
	for _, bad := range []string{"", "@abstract", path + string(make([]byte, shm.MaxPath))} {
		_, err = shm.ListenFile(bad, 0o660, -1)
		require.ErrorContains(t, err, "is no path of a file")
	}
}
