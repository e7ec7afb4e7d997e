package shm_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/shm"
)

// The memory has no name that another user's process could open: neither below
// the creator's entries in /proc, nor below those of who attached, which may be
// the same user's.
func TestMemoryIsNobodyElses(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("skipped: another user's process takes root to start")
	}
	l := listen(t)
	require.NoError(t, os.Chmod(filepath.Dir(l.Path()), 0o755))
	require.NoError(t, os.Chmod(l.Path(), 0o666))
	seg, bell := create(t, 4096), newBell(t)
	info, err := shm.FileOf(seg).Stat()
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode())

	cmd := start(t, "neighbour", l.Path())
	c := accept(t, l)
	_, err = c.ReadHello(app, patience)
	require.NoError(t, err)
	require.NoError(t, c.Welcome(app, shm.Welcome{Session: 42}, seg, bell))
	require.NoError(t, cmd.Wait())
}

// playNeighbour attaches as another user than the creator, and looks for other
// ways to the memory than the descriptor that it got.
func playNeighbour(path string) error {
	creator := os.Getppid()
	if err := becomeNobody(); err != nil {
		return err
	}
	a, err := shm.Dial(path, shm.Hello{App: app, Kind: shm.HelloAttach}, patience)
	if err != nil {
		return err
	}
	defer a.Close()
	var errs []error
	deny := func(name string) {
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		if err == nil {
			_ = f.Close()
			err = fmt.Errorf("opened %s", name)
		}
		if !errors.Is(err, fs.ErrPermission) {
			errs = append(errs, err)
		}
	}
	proc := "/proc/" + strconv.Itoa(creator)
	deny(proc + "/fd/0")
	deny(proc + "/mem")
	if _, err := os.ReadDir(proc + "/map_files"); !errors.Is(err, fs.ErrPermission) {
		errs = append(errs, fmt.Errorf("read map_files: %w", err))
	}
	raw, err := shm.FileOf(a.Segment).SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { deny(fmt.Sprintf("/proc/self/fd/%d", fd)) })
	}
	return errors.Join(append(errs, err)...)
}
