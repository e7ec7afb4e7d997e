package shm_test

import (
	"bytes"
	"io"
	"io/fs"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kongring/kongring/shm"
	"github.com/kongring/kongring/shm/leaktest"
)

func TestPeer(t *testing.T) {
	c, _ := rawPair(t)
	require.Equal(t, shm.Peer{PID: os.Getpid(), UID: uint32(os.Getuid()), GID: uint32(os.Getgid())}, c.Peer)
	require.Equal(t, "pid 12 uid 34", shm.Peer{PID: 12, UID: 34, GID: 56}.String())
}

func TestReadHello(t *testing.T) {
	for name, kind := range map[string]uint32{
		"attach":   shm.HelloAttach,
		"doorbell": shm.HelloDoorbell,
		"inspect":  shm.HelloInspect,
		"socket":   shm.HelloAttachSocket,
		"trace":    shm.HelloTrace,
		"watch":    shm.HelloWatch,
	} {
		t.Run(name, func(t *testing.T) {
			c, peer := rawPair(t)
			sent := shm.Hello{
				Magic: shm.Magic, Version: shm.Version, App: app, Kind: kind,
				Worker: 3, PID: 4, CPU: shm.CPUUnknown, Session: 5, Token: [16]uint8{0: 6, 15: 7},
			}
			message := wire(&sent)
			done := async(func() error {
				h, err := c.ReadHello(app, patience)
				require.Equal(t, sent, h)
				return err
			})
			_, err := peer.Write(message[:10])
			require.NoError(t, err)
			requireParked(t, "(*Conn).ReadHello")
			_, err = peer.Write(message[10:])
			require.NoError(t, err)
			require.NoError(t, within(t, done))
		})
	}
}

func TestReadHelloRefuses(t *testing.T) {
	good := shm.Hello{Magic: shm.Magic, Version: shm.Version, App: app, Kind: shm.HelloAttach}
	for _, tc := range []struct {
		name string
		lie  func(h *shm.Hello)
		want error
		says string
	}{
		{"magic", func(h *shm.Hello) { h.Magic = 0xbad }, shm.ErrHello, "magic 0xbad, want 0x3147524b"},
		{"version", func(h *shm.Hello) { h.Version = 99 }, shm.ErrVersion, "bridge 99.7, server 3.7"},
		{"app", func(h *shm.Hello) { h.App = 98 }, shm.ErrVersion, "bridge 3.98, server 3.7"},
		{"no kind", func(h *shm.Hello) { h.Kind = 0 }, shm.ErrHello, "kind 0"},
		{"unknown kind", func(h *shm.Hello) { h.Kind = 7 }, shm.ErrHello, "kind 7"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, peer := rawPair(t)
			h := good
			tc.lie(&h)
			_, err := peer.Write(wire(&h))
			require.NoError(t, err)
			_, err = c.ReadHello(app, patience)
			require.ErrorIs(t, err, tc.want)
			require.ErrorContains(t, err, tc.says)
		})
	}
}

func TestReadHelloHangUp(t *testing.T) {
	c, peer := rawPair(t)
	_, err := peer.Write(make([]byte, shm.HelloSize-1))
	require.NoError(t, err)
	require.NoError(t, peer.Close())
	_, err = c.ReadHello(app, patience)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)

	c, peer = rawPair(t)
	require.NoError(t, peer.Close())
	_, err = c.ReadHello(app, patience)
	require.ErrorIs(t, err, io.EOF)
}

func TestReadHelloTimeout(t *testing.T) {
	c, peer := rawPair(t)
	_, err := c.ReadHello(app, moment)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)

	_, err = peer.Write(make([]byte, 1))
	require.NoError(t, err)
	_, err = c.ReadHello(app, moment)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
}

// The timeout is for the hello alone: the connection may then be silent for
// the life of a session.
func TestReadHelloTimeoutEnds(t *testing.T) {
	c, peer := rawPair(t)
	_, err := peer.Write(wire(&shm.Hello{Magic: shm.Magic, Version: shm.Version, App: app, Kind: shm.HelloAttach}))
	require.NoError(t, err)
	const timeout = 25 * moment
	_, err = c.ReadHello(app, timeout)
	require.NoError(t, err)
	over := time.After(timeout)
	done := async(func() error { return c.Watch(nil) })
	within(t, over)
	requireParked(t, "(*Conn).Watch")
	require.NoError(t, c.Close())
	require.ErrorIs(t, within(t, done), shm.ErrClosed)
}

func TestReadHelloOwnClose(t *testing.T) {
	c, _ := rawPair(t)
	done := async(func() error { _, err := c.ReadHello(app, patience); return err })
	requireParked(t, "(*Conn).ReadHello")
	require.NoError(t, c.Close())
	require.NoError(t, c.Close())
	require.ErrorIs(t, within(t, done), shm.ErrClosed)
	_, err := c.ReadHello(app, patience)
	require.ErrorIs(t, err, shm.ErrClosed)
}

func TestWelcomeHandsOver(t *testing.T) {
	leaktest.Check(t)
	seg, bell := create(t, 4096, 100), newBell(t)
	c, a := attach(t, shm.HelloAttach, seg, bell)

	require.EqualValues(t, shm.WelcomeOK, a.Welcome.Status)
	require.EqualValues(t, app, a.Welcome.App)
	require.EqualValues(t, 42, a.Welcome.Session)
	require.EqualValues(t, seg.Size(), a.Welcome.SegmentSize)
	require.EqualValues(t, 42, a.Segment.Session())
	require.Equal(t, 2, a.Segment.Regions())
	for _, file := range []*os.File{shm.FileOf(a.Segment), shm.BellFile(a.Bell)} {
		descriptor, _ := flags(t, file)
		require.NotZero(t, descriptor&unix.FD_CLOEXEC)
	}

	copy(seg.Region(1), "down")
	require.Equal(t, "down", string(a.Segment.Region(1)[:4]))
	copy(a.Segment.Region(0), "up")
	require.Equal(t, "up", string(seg.Region(0)[:2]))

	done := async(bell.Wait)
	requireParked(t, "(*Bell).Wait")
	require.NoError(t, a.Bell.Ring())
	require.NoError(t, within(t, done))

	// Each side has descriptors of its own.
	require.NoError(t, seg.Close())
	require.NoError(t, bell.Close())
	require.Equal(t, "up", string(a.Segment.Region(0)[:2]))
	require.NoError(t, a.Bell.Ring())
	require.NoError(t, c.Close())
	require.NoError(t, a.Close())
	require.NoError(t, a.Close())
}

func TestWelcomeOfDoorbellHandsNothingOver(t *testing.T) {
	c, a := attach(t, shm.HelloDoorbell, nil, nil)
	require.Nil(t, a.Segment)
	require.Nil(t, a.Bell)

	done := async(a.WaitRing)
	requireParked(t, "(*Attachment).WaitRing")
	require.NoError(t, c.Ring())
	require.NoError(t, within(t, done))

	require.NoError(t, c.Close())
	require.ErrorIs(t, a.WaitRing(), io.EOF)
}

func TestWaitRingOwnClose(t *testing.T) {
	_, a := attach(t, shm.HelloDoorbell, nil, nil)
	done := async(a.WaitRing)
	requireParked(t, "(*Attachment).WaitRing")
	require.NoError(t, a.Close())
	require.ErrorIs(t, within(t, done), shm.ErrClosed)
}

// The timeout is for the welcome alone.
func TestDialTimeoutEnds(t *testing.T) {
	l := listen(t)
	const timeout = 25 * moment
	dialed := dial(l.Path(), shm.Hello{App: app, Kind: shm.HelloDoorbell}, timeout)
	c := accept(t, l)
	_, err := c.ReadHello(app, patience)
	require.NoError(t, err)
	require.NoError(t, c.Welcome(app, shm.Welcome{}, nil, nil))
	d := within(t, dialed)
	require.NoError(t, d.err)
	over := time.After(timeout)
	defer d.a.Close()
	done := async(d.a.WaitRing)
	within(t, over)
	requireParked(t, "(*Attachment).WaitRing")
	require.NoError(t, c.Ring())
	require.NoError(t, within(t, done))
}

func TestInspect(t *testing.T) {
	c, a := attach(t, shm.HelloInspect, nil, nil)
	require.Nil(t, a.Segment)
	text := bytes.Repeat([]byte("figures "), 1<<17)
	done := async(func() error {
		if err := c.Write(text, patience); err != nil {
			return err
		}
		return c.Close()
	})
	got, err := a.ReadAll(patience)
	require.NoError(t, err)
	require.True(t, bytes.Equal(text, got))
	require.NoError(t, within(t, done))
	require.ErrorIs(t, c.Write(text, patience), shm.ErrClosed)
}

func TestInspectTimeouts(t *testing.T) {
	c, a := attach(t, shm.HelloInspect, nil, nil)
	_, err := a.ReadAll(moment)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.ErrorIs(t, c.Write(make([]byte, 8<<20), moment), os.ErrDeadlineExceeded)
}

func TestWriteOwnClose(t *testing.T) {
	c, _ := rawPair(t)
	done := async(func() error { return c.Write(make([]byte, 8<<20), patience) })
	requireParked(t, "(*Conn).Write")
	require.NoError(t, c.Close())
	require.ErrorIs(t, within(t, done), shm.ErrClosed)
}

func TestRefuse(t *testing.T) {
	for _, tc := range []struct {
		name           string
		reason, arrive string
	}{
		{"reason", "uid 65534 may not attach", "uid 65534 may not attach"},
		{"no reason", "", ""},
		{"longest reason", strings.Repeat("r", 208), strings.Repeat("r", 208)},
		{"over-long reason", strings.Repeat("r", 208) + "cut", strings.Repeat("r", 208)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := listen(t)
			dialed := dial(l.Path(), shm.Hello{App: app, Kind: shm.HelloAttach}, patience)
			c := accept(t, l)
			_, err := c.ReadHello(app, patience)
			require.NoError(t, err)
			require.NoError(t, c.Refuse(app, shm.WelcomeDenied, tc.reason))
			d := within(t, dialed)
			require.ErrorIs(t, d.err, shm.ErrRefused)
			require.True(t, strings.HasSuffix(d.err.Error(), "status 2: "+tc.arrive), d.err.Error())
			require.ErrorContains(t, d.err, l.Path())
			require.Nil(t, d.a)
		})
	}
}

// What the welcome goes to is gone, or what it hands over.
func TestWelcomeFails(t *testing.T) {
	c, peer := rawPair(t)
	require.NoError(t, peer.Close())
	require.ErrorIs(t, c.Welcome(app, shm.Welcome{}, nil, nil), unix.EPIPE)
	require.ErrorIs(t, c.Refuse(app, shm.WelcomeBad, "too late"), unix.EPIPE)

	c, _ = rawPair(t)
	seg, bell := create(t, 1), newBell(t)
	require.NoError(t, bell.Close())
	require.Error(t, c.Welcome(app, shm.Welcome{}, seg, bell))
	require.NoError(t, seg.Close())
	require.Error(t, c.Welcome(app, shm.Welcome{}, seg, bell))
}

func TestWatchHangUp(t *testing.T) {
	c, peer := rawPair(t)
	done := async(func() error { return c.Watch(nil) })
	requireParked(t, "(*Conn).Watch")
	require.NoError(t, peer.Close())
	require.NoError(t, within(t, done))
}

// A peer that dies with bytes of ours unread resets the connection.
func TestWatchReset(t *testing.T) {
	c, peer := rawPair(t)
	require.NoError(t, c.Ring())
	require.NoError(t, peer.Close())
	require.NoError(t, c.Watch(nil))
}

func TestWatchLeave(t *testing.T) {
	seg, bell := create(t, 1), newBell(t)
	c, a := attach(t, shm.HelloAttach, seg, bell)
	left := make(chan struct{}, 3)
	done := async(func() error { return c.Watch(func() { left <- struct{}{} }) })
	for range 2 {
		require.NoError(t, a.Leave())
		within(t, left)
	}
	requireParked(t, "(*Conn).Watch")
	require.NoError(t, a.Close())
	require.NoError(t, within(t, done))
	require.Empty(t, left)
}

func TestWatchRefusesBytes(t *testing.T) {
	for _, tc := range []struct {
		name  string
		sends byte
		leave func()
		says  string
	}{
		{"not the leave byte", 'x', func() {}, "byte 0x78"},
		{"nobody may leave", shm.LeaveByte, nil, "byte 0x4c"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, peer := rawPair(t)
			_, err := peer.Write([]byte{tc.sends})
			require.NoError(t, err)
			err = c.Watch(tc.leave)
			require.ErrorIs(t, err, shm.ErrHello)
			require.ErrorContains(t, err, tc.says)
		})
	}
}

func TestWatchOwnClose(t *testing.T) {
	c, _ := rawPair(t)
	done := async(func() error { return c.Watch(nil) })
	requireParked(t, "(*Conn).Watch")
	require.NoError(t, c.Close())
	require.ErrorIs(t, within(t, done), shm.ErrClosed)
	require.ErrorIs(t, c.Watch(nil), shm.ErrClosed)
}

// A worker that is killed: its hang-up comes, what it wrote stays.
func TestWatchKilledProcess(t *testing.T) {
	l := listen(t)
	seg, bell := create(t, 4096), newBell(t)
	worker := start(t, "worker", l.Path())
	c := accept(t, l)
	require.Equal(t, worker.Process.Pid, c.Peer.PID)
	_, err := c.ReadHello(app, patience)
	require.NoError(t, err)
	require.NoError(t, c.Welcome(app, shm.Welcome{}, seg, bell))
	require.NoError(t, within(t, async(bell.Wait)), "the ring crosses processes")
	require.Equal(t, "from another process", string(seg.Region(0)[:20]))

	done := async(func() error { return c.Watch(nil) })
	requireParked(t, "(*Conn).Watch")
	require.NoError(t, worker.Process.Kill())
	require.NoError(t, within(t, done))
	require.Equal(t, "from another process", string(seg.Region(0)[:20]))
}

func TestRingNeverBlocks(t *testing.T) {
	c, a := attach(t, shm.HelloDoorbell, nil, nil)
	for range 20_000 {
		require.NoError(t, c.Ring())
	}
	control(t, shm.SocketOf(c), func(fd int) {
		_, err := unix.SendmsgN(fd, []byte{1}, nil, nil, unix.MSG_DONTWAIT)
		require.ErrorIs(t, err, unix.EAGAIN, "the connection is not full yet")
	})
	require.NoError(t, a.WaitRing())
	require.NoError(t, c.Ring())
}

func TestRingAfterHangUp(t *testing.T) {
	// The signal that comes last is sent by hand: when it is here, a SIGPIPE
	// would be too, since signals are given in the order of their numbers.
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGPIPE, syscall.SIGWINCH)
	defer signal.Stop(signals)

	c, peer := rawPair(t)
	require.NoError(t, peer.Close())
	err := c.Ring()
	require.ErrorIs(t, err, unix.EPIPE)
	require.ErrorContains(t, err, c.Peer.String())

	require.NoError(t, unix.Kill(os.Getpid(), unix.SIGWINCH))
	require.Equal(t, os.Signal(syscall.SIGWINCH), within(t, signals))
}

func TestRingOwnClose(t *testing.T) {
	c, peer := rawPair(t)
	drained := async(func() error { _, err := io.Copy(io.Discard, peer); return err })
	rang := make(chan struct{})
	done := async(func() error {
		for first := true; ; first = false {
			if err := c.Ring(); err != nil {
				return err
			}
			if first {
				close(rang)
			}
		}
	})
	within(t, rang)
	require.NoError(t, c.Close())
	require.ErrorIs(t, within(t, done), shm.ErrClosed)
	require.NoError(t, within(t, drained))
}

func TestDialNobodyThere(t *testing.T) {
	path := socketPath(t)
	_, err := shm.Dial(path, shm.Hello{}, patience)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, err, path)

	leaveSocket(t, path)
	_, err = shm.Dial(path, shm.Hello{}, patience)
	require.ErrorIs(t, err, unix.ECONNREFUSED)
}

func TestDialTimeout(t *testing.T) {
	leaktest.Check(t)
	l := listen(t)
	_, err := shm.Dial(l.Path(), shm.Hello{App: app, Kind: shm.HelloAttach}, moment)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.ErrorContains(t, err, l.Path())
}

// Whoever wants to pass for another version may.
func TestDialFillsInTheHello(t *testing.T) {
	for _, tc := range []struct{ given, sent shm.Hello }{
		{shm.Hello{Kind: 9}, shm.Hello{Kind: 9, Magic: shm.Magic, Version: shm.Version}},
		{shm.Hello{Magic: 1, Version: 2}, shm.Hello{Magic: 1, Version: 2}},
	} {
		got := make(chan []byte, 1)
		path := answer(t, func(_ *net.UnixConn, hello []byte) { got <- hello })
		_, err := shm.Dial(path, tc.given, patience)
		require.ErrorIs(t, err, io.EOF)
		require.Equal(t, wire(&tc.sent), within(t, got))
	}
}

func TestPeek(t *testing.T) {
	c, peer := rawPair(t)
	sent := shm.Hello{Magic: shm.Magic, Version: shm.Version, App: app, Kind: shm.HelloAttach}
	message := wire(&sent)
	done := async(func() error {
		first, err := c.Peek(patience)
		require.Equal(t, byte('K'), first)
		return err
	})
	requireParked(t, "(*Conn).Peek")
	_, err := peer.Write(message)
	require.NoError(t, err)
	require.NoError(t, within(t, done))
	h, err := c.ReadHello(app, patience)
	require.NoError(t, err)
	require.Equal(t, sent, h, "the byte that was looked at is read too")
}

func TestPeekEnds(t *testing.T) {
	c, peer := rawPair(t)
	_, err := c.Peek(time.Millisecond)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	done := async(func() error { _, err := c.Peek(patience); return err })
	requireParked(t, "(*Conn).Peek")
	require.NoError(t, peer.Close())
	require.ErrorIs(t, within(t, done), io.EOF)

	c, _ = rawPair(t)
	done = async(func() error { _, err := c.Peek(patience); return err })
	requireParked(t, "(*Conn).Peek")
	require.NoError(t, c.Close())
	require.ErrorIs(t, within(t, done), shm.ErrClosed)
}

func TestRead(t *testing.T) {
	c, peer := rawPair(t)
	_, err := c.Peek(time.Millisecond)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	_, err = peer.Write([]byte("abc"))
	require.NoError(t, err)
	_, err = c.Peek(patience)
	require.NoError(t, err)
	b := make([]byte, 8)
	n, err := c.Read(b)
	require.NoError(t, err)
	require.Equal(t, "abc", string(b[:n]))
	done := async(func() error { _, err := c.Read(b); return err })
	requireParked(t, "(*Conn).Read")
	require.NoError(t, c.Close())
	require.ErrorIs(t, within(t, done), shm.ErrClosed)
}
