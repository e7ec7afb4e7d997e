package server_test

import (
	"encoding/binary"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kongring/kongring/server"
	"github.com/kongring/kongring/server/wire"
	"github.com/kongring/kongring/shm"
)

func connect(t *testing.T, socket string) *net.UnixConn {
	t.Helper()
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: socket, Net: "unix"})
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
	return c
}

// refusal reads the status of a welcome, and the end behind it.
func refusal(t *testing.T, c net.Conn) uint32 {
	t.Helper()
	answer, err := io.ReadAll(c)
	require.NoError(t, err)
	require.Len(t, answer, shm.WelcomeSize)
	return binary.LittleEndian.Uint32(answer[12:])
}

// Connections that say nothing, or half of a hello, are bounded in number and in
// time; who is attached goes on, and when they are gone others may come.
func TestFloodOfHalfHellos(t *testing.T) {
	const most = 8
	log := new(record)
	s, socket := start(t, log.option(), obedient(), server.WithMaxPending(most))
	honest := attach(t, socket)
	calls := honest.instance("scripted", `{"name":"calls"}`)
	before := descriptorCount(t)
	var waiting []*net.UnixConn
	for i := range most {
		c := connect(t, socket)
		_, err := c.Write(binary.LittleEndian.AppendUint32(nil, shm.Magic)[:i%4])
		require.NoError(t, err)
		waiting = append(waiting, c)
	}
	for range 200 { // each is told, at once, and forgotten
		c := connect(t, socket)
		require.EqualValues(t, shm.WelcomeExhausted, refusal(t, c))
		require.NoError(t, c.Close())
	}
	honest.oneEvent(0, calls)
	require.EqualValues(t, 200, s.Stats().Crowded)
	require.Len(t, log.lines(t, "connection refused"), 1, "one line for all")
	require.LessOrEqual(t, descriptorCount(t), before+2*most+4)
	for _, c := range waiting { // slow ones end by themselves
		require.EqualValues(t, shm.WelcomeBad, refusal(t, c))
	}
	attach(t, socket).instance("scripted", `{}`)
}

func descriptorCount(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return len(entries)
}

// A hello byte by byte has no more time than another one.
func TestHelloDropByDrop(t *testing.T) {
	_, socket := start(t, obedient())
	c := connect(t, socket)
	hello := binary.LittleEndian.AppendUint32(nil, shm.Magic)
	for n := 0; ; n++ {
		require.Less(t, n, shm.HelloSize, "the whole hello was waited for")
		if _, err := c.Write([]byte{append(hello, make([]byte, shm.HelloSize)...)[n]}); err != nil {
			break
		}
		time.Sleep(200 * time.Millisecond) // the sender's pace
	}
}

// A hello with megabytes behind it is answered for what it is; what follows is not
// kept, and descriptors that come along are not either.
func TestHelloOfHugeLength(t *testing.T) {
	s, socket := start(t, obedient())
	honest := attach(t, socket)
	calls := honest.instance("scripted", `{"name":"calls"}`)
	before := descriptorCount(t)
	for _, magic := range []uint32{shm.Magic, 0} {
		c := connect(t, socket)
		hello := make([]byte, shm.HelloSize)
		for i, n := range []uint32{magic, shm.Version, wire.Version, shm.HelloAttach} {
			binary.LittleEndian.PutUint32(hello[4*i:], n)
		}
		_, _, err := c.WriteMsgUnix(hello, unix.UnixRights(0, 1, 2, 0, 1, 2), nil)
		require.NoError(t, err)
		var failed error
		for range 64 {
			if _, failed = c.Write(make([]byte, 1<<20)); failed != nil {
				break
			}
		}
		require.Error(t, failed, "64 MiB behind a hello were taken")
		require.NoError(t, c.Close())
	}
	require.Eventually(t, func() bool { return len(s.Stats().Sessions) == 1 && descriptorCount(t) <= before }, patience, time.Millisecond)
	honest.oneEvent(0, calls)
}
