package shm_test

import (
	"net"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/shm"
	"github.com/kongring/kongring/shm/leaktest"
)

// handedOver gives the file of a socket that somebody else owns.
func handedOver(t *testing.T, path string) *os.File {
	t.Helper()
	owner, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	require.NoError(t, err)
	t.Cleanup(func() { _ = owner.Close() })
	file, err := owner.File()
	require.NoError(t, err)
	return file
}

func TestAdopt(t *testing.T) {
	path := socketPath(t)
	file := handedOver(t, path)
	l, err := shm.Adopt(file)
	require.NoError(t, err)
	require.ErrorIs(t, file.Close(), os.ErrClosed)
	require.Equal(t, path, l.Path())
	_ = dialRaw(t, path)
	_ = accept(t, l)
	_, ok := l.Successor()
	require.False(t, ok)
	require.NoError(t, l.Close())
	_ = dialRaw(t, path) // its owner goes on listening
}

func TestAdoptErrors(t *testing.T) {
	leaktest.Check(t)
	regular, err := os.Open("adopt_test.go")
	require.NoError(t, err)
	_, err = shm.Adopt(regular)
	require.ErrorContains(t, err, "listen on the socket adopt_test.go that was handed over: ")

	for network, address := range map[string]string{"tcp": "127.0.0.1:0", "unix": "@kongring-adopt-test"} {
		l, err := net.Listen(network, address)
		require.NoError(t, err)
		file, err := l.(interface{ File() (*os.File, error) }).File()
		require.NoError(t, err)
		require.NoError(t, l.Close())
		_, err = shm.Adopt(file)
		require.ErrorContains(t, err, "want a Unix stream socket with the path of a file", network)
	}
}

func TestSuccessor(t *testing.T) {
	first := listen(t)
	_, ok := first.Successor()
	require.False(t, ok)
	second, err := shm.Listen(first.Path(), 0o600)
	require.NoError(t, err)
	_, ok = second.Successor()
	require.False(t, ok)
	peer, ok := first.Successor()
	require.True(t, ok)
	require.Equal(t, os.Getpid(), peer.PID)

	require.NoError(t, second.Close())
	_, ok = first.Successor()
	require.False(t, ok)
	leaveSocket(t, first.Path()) // of a server that was killed
	_, ok = first.Successor()
	require.False(t, ok)
}
