package shm_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kongring/kongring/shm"
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

// A peer that counts the bell up to its limit cannot stop it from waking.
func TestFullBellStillRings(t *testing.T) {
	const limit = 0xfffffffffffffffe
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	require.NoError(t, err)
	_, err = unix.Write(fd, []byte{0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	require.NoError(t, err)
	_, err = unix.Write(fd, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	require.ErrorIs(t, err, unix.EAGAIN, "the limit is not %d", uint64(limit))
	b := shm.OpenBell(os.NewFile(uintptr(fd), "full"))
	defer b.Close()

	rung := async(b.Ring)
	eventually(t, func() bool { return len(rung) > 0 || parked("(*Bell).Ring") }, "nobody rings")
	require.NoError(t, b.Wait())
	require.NoError(t, within(t, rung))
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
	descriptor, status := flags(t, shm.BellFile(newBell(t)))
	require.NotZero(t, descriptor&unix.FD_CLOEXEC)
	require.NotZero(t, status&unix.O_NONBLOCK)
}

// A bell that comes from a peer parks its waiter in the poller, even if the
// peer made it blocking.
func TestReceivedBellParks(t *testing.T) {
	seg := create(t, 4096)
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	require.NoError(t, err)
	blocking := os.NewFile(uintptr(fd), "blocking")
	defer blocking.Close()
	_, status := flags(t, blocking)
	require.Zero(t, status&unix.O_NONBLOCK)
	_, a := attach(t, shm.HelloAttach, seg, shm.OpenBell(blocking))

	descriptor, status := flags(t, shm.BellFile(a.Bell))
	require.NotZero(t, descriptor&unix.FD_CLOEXEC)
	require.NotZero(t, status&unix.O_NONBLOCK)
	done := async(a.Bell.Wait)
	requireParked(t, "(*Bell).Wait")
	_, err = blocking.Write([]byte{1, 0, 0, 0, 0, 0, 0, 0})
	require.NoError(t, err)
	require.NoError(t, within(t, done))

	done = async(a.Bell.Wait)
	requireParked(t, "(*Bell).Wait")
	require.NoError(t, a.Bell.Close())
	require.ErrorIs(t, within(t, done), shm.ErrClosed)
}
