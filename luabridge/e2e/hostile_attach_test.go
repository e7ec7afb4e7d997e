package e2e_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kongring/kongring/luabridge/testbed"
	"github.com/kongring/kongring/ring"
	"github.com/kongring/kongring/server/wire"
	"github.com/kongring/kongring/shm"
)

// welcome is the wire form of a welcome.
func welcome(change func(w *shm.Welcome)) []byte {
	w := shm.Welcome{Magic: shm.Magic, Version: shm.Version, App: wire.Version, Session: 1, Limit: 1 << 20}
	if change != nil {
		change(&w)
	}
	var b bytes.Buffer
	_ = binary.Write(&b, binary.LittleEndian, []uint32{w.Magic, w.Version, w.App, w.Status, w.Session, w.SegmentSize})
	b.Write(w.Token[:])
	_ = binary.Write(&b, binary.LittleEndian, []uint32{w.Limit, w.ReasonSize})
	b.Write(w.Reason[:])
	return b.Bytes()
}

// memory makes a memfd that holds the segment of a session, or a lie about it.
func memory(size int64, seals, flags int, change func(header []uint32)) *os.File {
	fd, err := unix.MemfdCreate("forged", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|flags)
	if err != nil {
		panic(err)
	}
	file := os.NewFile(uintptr(fd), "forged")
	part := uint32(ring.Size(4096))
	header := make([]uint32, 8+2*shm.MaxRegions)
	copy(header, []uint32{shm.Magic, shm.Version, wire.Version, 1, uint32(size), 8, wire.RegionCount, 1,
		4096, part, 3 * 4096, part, 5 * 4096, wire.CountersSize, 6 * 4096, wire.CountersSize})
	if change != nil {
		change(header)
	}
	var b bytes.Buffer
	_ = binary.Write(&b, binary.LittleEndian, header)
	if flags&unix.MFD_HUGETLB == 0 {
		_, _ = file.WriteAt(b.Bytes(), 0)
		for _, at := range []int64{4096, 3 * 4096} { // both rings are formatted
			_, _ = file.WriteAt(binary.LittleEndian.AppendUint32(nil, ring.Start), at)
		}
	}
	_ = file.Truncate(size)
	if seals != 0 {
		_, _ = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals)
	}
	return file
}

const (
	forgedSize = 7 * 4096
	allSeals   = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL
)

// handOver sends a welcome with descriptors, and keeps none of them.
func handOver(conn *net.UnixConn, message []byte, files ...*os.File) {
	var fds []int
	for _, f := range files {
		fds = append(fds, int(f.Fd()))
	}
	_, _, _ = conn.WriteMsgUnix(message, unix.UnixRights(fds...), nil)
	for _, f := range files {
		_ = f.Close()
	}
}

func good() *os.File { return memory(forgedSize, allSeals, 0, nil) }

// socket is one end of a pair, as a doorbell is; the other end is lost.
func socket() *os.File {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		panic(err)
	}
	_ = unix.Close(fds[1])
	return os.NewFile(uintptr(fds[0]), "socket")
}

func open(path string, flags int) *os.File {
	f, err := os.OpenFile(path, flags, 0)
	if err != nil {
		panic(err)
	}
	return f
}

// welcomes are what a hostile server may answer to a hello that asks for shared
// memory, and what the worker's log has to say.
var welcomes = []struct {
	name, says string
	answer     func(conn *net.UnixConn)
}{
	{"hangs up", "the server hung up", func(*net.UnixConn) {}},
	{"half a welcome", "the server hung up", func(c *net.UnixConn) { _, _ = c.Write(welcome(nil)[:100]) }},
	{"silence", "the server did not answer for 1 s", func(c *net.UnixConn) { _, _ = c.Read(make([]byte, 1)) }},
	{"drop by drop", "the server did not answer for 1 s", func(c *net.UnixConn) {
		for _, b := range welcome(nil) {
			if _, err := c.Write([]byte{b}); err != nil {
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
	}},
	{"rubbish", "the server's answer starts with 0xa5a5a5a5", func(c *net.UnixConn) {
		_, _ = c.Write(bytes.Repeat([]byte{0xa5}, 1<<16))
	}},
	{"a reason longer than its room", "the server refused: rr", func(c *net.UnixConn) {
		_, _ = c.Write(welcome(func(w *shm.Welcome) {
			w.Status, w.ReasonSize = shm.WelcomeDenied, 1<<31
			copy(w.Reason[:], bytes.Repeat([]byte{'r'}, len(w.Reason)))
		}))
	}},
	{"too long messages", "the server allows messages of 4294967295 bytes, the limit is 1073741824", func(c *net.UnixConn) {
		handOver(c, welcome(func(w *shm.Welcome) { w.Limit = 1<<32 - 1 }), good(), socket())
	}},
	{"no descriptors", "the server's welcome carries no memory", func(c *net.UnixConn) { _, _ = c.Write(welcome(nil)) }},
	{"one descriptor", "failed to receive: 1 descriptors, wanted 2", func(c *net.UnixConn) { handOver(c, welcome(nil), good()) }},
	{"three descriptors", "failed to receive: 2 descriptors, wanted 2", func(c *net.UnixConn) {
		handOver(c, welcome(nil), good(), socket(), socket())
	}},
	{"as many as can be sent", "failed to receive: 2 descriptors, wanted 2", func(c *net.UnixConn) {
		files := []*os.File{good()}
		for range 252 {
			files = append(files, open("/dev/null", os.O_RDWR))
		}
		handOver(c, welcome(nil), files...)
	}},
	{"descriptors in each byte", "magic 0x00000000", func(c *net.UnixConn) {
		for _, b := range welcome(nil) {
			handOver(c, []byte{b}, memory(forgedSize, allSeals, 0, func(h []uint32) { h[0] = 0 }), socket())
		}
		_, _ = c.Read(make([]byte, 1))
	}},
	{"unsealed memory", "the segment is not sealed", func(c *net.UnixConn) {
		handOver(c, welcome(nil), memory(forgedSize, 0, 0, nil), socket())
	}},
	{"memory that can shrink", "the segment is not sealed", func(c *net.UnixConn) {
		handOver(c, welcome(nil), memory(forgedSize, unix.F_SEAL_GROW|unix.F_SEAL_SEAL, 0, nil), socket())
	}},
	{"huge pages", "the segment is not in ordinary memory", func(c *net.UnixConn) {
		handOver(c, welcome(nil), memory(1<<30, allSeals, unix.MFD_HUGETLB, nil), socket())
	}},
	{"a file of 2 GiB", "the segment has 2147483648 bytes, the limit is", func(c *net.UnixConn) {
		handOver(c, welcome(nil), memory(1<<31, allSeals, 0, nil), socket())
	}},
	{"an empty file", "the segment has 0 bytes", func(c *net.UnixConn) {
		handOver(c, welcome(nil), memory(0, allSeals, 0, nil), socket())
	}},
	{"less than a header", "the segment lies about itself: a file of 4095 bytes", func(c *net.UnixConn) {
		handOver(c, welcome(nil), memory(4095, allSeals, 0, nil), socket())
	}},
	{"a size that is another", "size 32768 in a file of 28672 bytes", func(c *net.UnixConn) {
		handOver(c, welcome(nil), memory(forgedSize, allSeals, 0, func(h []uint32) { h[4] = 8 * 4096 }), socket())
	}},
	{"another session", "session 77, wanted 1", func(c *net.UnixConn) {
		handOver(c, welcome(nil), memory(forgedSize, allSeals, 0, func(h []uint32) { h[3] = 77 }), socket())
	}},
	{"a region beyond the end", "region 3 at 24576 of 4294967295 bytes", func(c *net.UnixConn) {
		handOver(c, welcome(nil), memory(forgedSize, allSeals, 0, func(h []uint32) { h[15] = 1<<32 - 1 }), socket())
	}},
	{"regions in each other", "region 1 at 4096 of", func(c *net.UnixConn) {
		handOver(c, welcome(nil), memory(forgedSize, allSeals, 0, func(h []uint32) { h[10] = 4096 }), socket())
	}},
	{"too many regions", "4294967295 regions with entries of 8 bytes", func(c *net.UnixConn) {
		handOver(c, welcome(nil), memory(forgedSize, allSeals, 0, func(h []uint32) { h[6] = 1<<32 - 1 }), socket())
	}},
	{"counters that are cut off", "counters of 8 bytes", func(c *net.UnixConn) {
		handOver(c, welcome(nil), memory(forgedSize, allSeals, 0, func(h []uint32) { h[15] = 8 }), socket())
	}},
	{"no ring", "memory does not hold a ring: 4481 bytes", func(c *net.UnixConn) {
		handOver(c, welcome(nil), memory(forgedSize, allSeals, 0, func(h []uint32) { h[9]++ }), socket())
	}},
	{"a pipe for memory", "the segment is not sealed", func(c *net.UnixConn) {
		r, w, _ := os.Pipe()
		defer r.Close()
		handOver(c, welcome(nil), w, socket())
	}},
	{"a device for memory", "the segment is not sealed", func(c *net.UnixConn) {
		handOver(c, welcome(nil), open("/dev/zero", os.O_RDWR), socket())
	}},
	{"a folder for memory", "the segment is not sealed", func(c *net.UnixConn) {
		handOver(c, welcome(nil), open("/", os.O_RDONLY), socket())
	}},
}

// A server may answer a hello with what it likes: the worker says what was wrong,
// keeps nothing of it, asks again after a while, and goes on with an honest one.
func TestServerThatLiesAtTheHello(t *testing.T) {
	b := start(t, func(o *testbed.Options) {
		o.NoServer = true
		handlerOf(t, o, `carrier = "ring"`)
		delete(o.Config, "global_plugins")
	})
	workers, err := b.Host.Workers()
	require.NoError(t, err)
	held := descriptors(t, workers[0])
	begun := b.loggedSince(0, `failed to connect to`)
	for _, tc := range welcomes {
		t.Run(tc.name, func(t *testing.T) {
			b.t = t
			asked, stop := answerAll(t, b.Socket(), tc.answer)
			b.loggedSince(begun, `\[kongring\].*`+regexp.QuoteMeta(tc.says))
			stop()
			require.Less(t, asked.Load(), int64(200), "it asks too often")
			begun = b.loggedSince(begun, `failed to connect to`) // so that the next reason is news
		})
	}
	now, err := b.Host.Workers()
	require.NoError(t, err)
	require.Equal(t, workers, now)
	b.t = t
	b.eventually("the worker keeps nothing", func() bool {
		r, err := b.try("/none", nil)
		return err == nil && r.status != 0 && descriptors(t, workers[0]) <= held+2 // the client's connections
	})
	require.NoError(t, b.StartServer(b.ctx))
	b.eventually("requests succeed", func() bool { return b.do("nothing").status == 200 })
}

// answerAll answers every hello on a socket, until stop is called.
func answerAll(t *testing.T, path string, answer func(*net.UnixConn)) (asked *atomic.Int64, stop func()) {
	asked = new(atomic.Int64)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	require.NoError(t, err)
	var wg sync.WaitGroup
	var over atomic.Bool
	wg.Add(1)
	go func() {
		defer wg.Done()
		for {
			conn, err := l.AcceptUnix()
			if err != nil {
				return
			}
			asked.Add(1)
			wg.Add(1)
			go func() {
				defer wg.Done()
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(patience))
				if _, err := io.ReadFull(conn, make([]byte, shm.HelloSize)); err == nil && !over.Load() {
					answer(conn)
				}
			}()
		}
	}()
	return asked, func() { over.Store(true); _ = l.Close(); wg.Wait() }
}

// loggedSince waits for a line in nginx's error log behind a place in it, and
// gives the place behind that line.
func (b *bed) loggedSince(place int, pattern string) (behind int) {
	b.t.Helper()
	match := regexp.MustCompile(pattern)
	b.eventually("a log line "+pattern, func() bool {
		text, err := b.Host.ErrorLog()
		require.NoError(b.t, err)
		found := match.FindStringIndex(text[place:])
		if found != nil {
			behind = place + found[1]
		}
		return found != nil
	})
	return behind
}

// A server that welcomes a worker and hangs up, each time, is asked less and less
// often.
func TestServerThatEndsEverySession(t *testing.T) {
	b := start(t, func(o *testbed.Options) {
		o.NoServer = true
		delete(o.Config, "global_plugins")
	})
	b.loggedSince(0, `failed to connect to`)
	asked, stop := answerAll(t, b.Socket(), func(c *net.UnixConn) { handOver(c, welcome(nil), good(), socket()) })
	defer stop()
	begun := time.Now()
	// Two connections a session: 10, 20, 40, 80, 160, 250 ms ... between sessions.
	b.eventually("some tries", func() bool { return asked.Load() >= 20 })
	require.Greater(t, time.Since(begun), 500*time.Millisecond)
}

// A server that sends more than was asked for, and is gone, is gone.
func TestHangUpBehindBytes(t *testing.T) {
	b := start(t, func(o *testbed.Options) {
		o.NoServer = true
		delete(o.Config, "global_plugins")
	})
	_, stop := answerAll(t, b.Socket(), func(c *net.UnixConn) {
		handOver(c, welcome(nil), good(), socket())
		_, _ = c.Write(welcome(nil))
	})
	defer stop()
	b.logged(`session 1 with .* ended: the plugin server went away`)
}

// A welcome that comes drop by drop is waited for no longer than any other.
func TestWelcomeDropByDropOverTheSocket(t *testing.T) {
	b := start(t, func(o *testbed.Options) {
		o.NoServer = true
		handlerOf(t, o, `carrier = "socket"`)
		delete(o.Config, "global_plugins")
	})
	ended := make(chan int, 100)
	_, stop := answerAll(t, b.Socket(), func(c *net.UnixConn) {
		n := 0
		for _, b := range welcome(nil) {
			if _, err := c.Write([]byte{b}); err != nil {
				break
			}
			n++
			time.Sleep(50 * time.Millisecond)
		}
		ended <- n
	})
	b.loggedSince(0, `\[kongring\].*s: timeout`)
	stop()
	require.Less(t, <-ended, 100, "bytes of the welcome until the worker hung up")
}

// descriptors counts those of a process.
func descriptors(t *testing.T, pid int) int {
	entries, err := os.ReadDir(filepath.Join("/proc", fmt.Sprint(pid), "fd"))
	require.NoError(t, err)
	return len(entries)
}
