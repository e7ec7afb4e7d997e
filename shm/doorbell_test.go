package shm_test

import (
	"errors"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kongring/kongring/shm"
	"github.com/kongring/kongring/shm/leaktest"
)

func TestRingBeforeWait(t *testing.T) {
	b := newBell(t)
	require.NoError(t, b.Ring())
	require.NoError(t, b.Wait())
}

func TestRingWakesWaiter(t *testing.T) {
	b := newBell(t)
	done := async(b.Wait)
	requireParked(t, "(*Bell).Wait")
	require.NoError(t, b.Ring())
	require.NoError(t, within(t, done))
}

func TestSeveralRingsAreOneWait(t *testing.T) {
	b := newBell(t)
	for range 5 {
		require.NoError(t, b.Ring())
	}
	require.NoError(t, b.Wait())
	done := async(b.Wait)
	requireParked(t, "(*Bell).Wait")
	require.NoError(t, b.Close())
	require.ErrorIs(t, within(t, done), shm.ErrClosed)
}

// A peer that reads no ring cannot hold who rings.
func TestFullBellStillRings(t *testing.T) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0) // blocking
	require.NoError(t, err)
	b := shm.OpenBell(os.NewFile(uintptr(fds[0]), "full"))
	defer b.Close()
	peer := os.NewFile(uintptr(fds[1]), "peer")
	defer peer.Close()
	rung := async(func() (err error) {
		for range 10000 {
			err = errors.Join(err, b.Ring())
		}
		return err
	})
	require.NoError(t, within(t, rung))
	n, err := peer.Read(make([]byte, 10000))
	require.NoError(t, err)
	require.Positive(t, n)
	require.Less(t, n, 10000, "it never was full")
}

// A bell whose peer hung up its end rings no more, and does not keep anybody
// busy: not by rings of the owner, nor by the end of the stream.
func TestBellOfAPeerThatHungUp(t *testing.T) {
	b := newBell(t)
	control(t, shm.BellPeer(b), func(fd int) { require.NoError(t, unix.Shutdown(fd, unix.SHUT_RDWR)) })
	require.NoError(t, b.Ring())
	done := async(b.Wait)
	requireParked(t, "(*Bell).Wait")
	require.NoError(t, b.Close())
	require.ErrorIs(t, within(t, done), shm.ErrClosed)
}

func TestBellCloseEndsWait(t *testing.T) {
	b := newBell(t)
	done := async(b.Wait)
	requireParked(t, "(*Bell).Wait")
	require.NoError(t, b.Close())
	require.ErrorIs(t, within(t, done), shm.ErrClosed)
	require.ErrorIs(t, b.Wait(), shm.ErrClosed)
}

func TestBellAfterClose(t *testing.T) {
	b := newBell(t)
	require.NoError(t, b.Close())
	require.NoError(t, b.Close())
	require.ErrorIs(t, b.Ring(), shm.ErrClosed)
	require.ErrorIs(t, b.Wait(), shm.ErrClosed)
}

func TestBellFlags(t *testing.T) {
	b := newBell(t)
	for _, file := range []*os.File{shm.BellFile(b), shm.BellPeer(b)} {
		descriptor, status := flags(t, file)
		require.NotZero(t, descriptor&unix.FD_CLOEXEC)
		require.NotZero(t, status&unix.O_NONBLOCK)
	}
}

// A peer that makes its end blocking does not make this one so: who waits can be
// woken by Close, and who closes does not wait.
func TestBellOfAPeerThatBlocks(t *testing.T) {
	leaktest.Check(t)
	seg, b := create(t, 4096), newBell(t)
	_, a := attach(t, shm.HelloAttach, seg, b)
	control(t, shm.BellFile(a.Bell), func(fd int) { require.NoError(t, unix.SetNonblock(fd, false)) })
	done := async(b.Wait)
	requireParked(t, "(*Bell).Wait")
	require.NoError(t, a.Bell.Ring())
	require.NoError(t, within(t, done))
	done = async(b.Wait)
	requireParked(t, "(*Bell).Wait")
	require.NoError(t, within(t, async(b.Close)))
	require.ErrorIs(t, within(t, done), shm.ErrClosed)
	require.NoError(t, a.Close())
}
