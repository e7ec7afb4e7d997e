package server

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/ring"
	"github.com/kongring/kongring/shm"
)

// pumpPatience bounds the waits of these tests.
const pumpPatience = 20 * time.Second

// pumped is a session with a pump and nothing else: the test is its reader, its
// writers, and, at peer, its worker.
type pumped struct {
	*session
	peer *shm.Attachment
}

func newPumped(t *testing.T, capacity int) *pumped {
	t.Helper()
	dir, err := os.MkdirTemp("", "pump")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	listener, err := shm.Listen(filepath.Join(dir, "s"), 0o600)
	require.NoError(t, err)
	defer listener.Close()
	dialled := make(chan *shm.Attachment, 1)
	go func() {
		a, err := shm.Dial(listener.Path(), shm.Hello{Kind: shm.HelloAttachSocket}, pumpPatience)
		if err != nil {
			t.Error(err)
		}
		dialled <- a
	}()
	conn, err := listener.Accept()
	require.NoError(t, err)
	_, err = conn.ReadHello(0, pumpPatience)
	require.NoError(t, err)

	n := &session{
		conn: conn, log: slog.New(slog.DiscardHandler),
		server: &Server{}, retired: make(chan struct{}),
	}
	n.ctx, n.cancel = context.WithCancelCause(context.Background())
	n.rings, err = newPrivateRings(1, capacity)
	require.NoError(t, err)
	n.pump, err = newPump(n)
	require.NoError(t, err)
	other, err := shm.CreatePrivate(0, 1, 8)
	require.NoError(t, err)
	require.NoError(t, conn.Welcome(0, shm.Welcome{}, other, nil))
	p := &pumped{session: n, peer: <-dialled}
	require.NotNil(t, p.peer)
	t.Cleanup(func() {
		n.end(shm.ErrClosed)
		n.open.Wait()
		require.NoError(t, p.peer.Close())
	})
	return p
}

// start runs the pump and gives what it ends with.
func (p *pumped) start() <-chan error {
	ended := make(chan error, 1)
	p.open.Add(1)
	go func() { defer p.open.Done(); ended <- p.pump.run() }()
	return ended
}

// numbered is frame i of a sequence; every third one is a piece.
func numbered(i, size int) ring.Frame {
	payload := make([]byte, size)
	binary.LittleEndian.PutUint32(payload, uint32(i))
	return ring.Frame{Payload: payload, More: i%3 == 0}
}

// take reads the next frame as the reader does.
func (p *pumped) take() (ring.Frame, error) {
	for {
		frame, ok, err := p.rings.in.Read(nil)
		if ok || err != nil {
			p.rings.claimWorker()
			return frame, err
		}
		if p.rings.in.Sleep() {
			p.rings.claimWorker()
			if err := p.rings.bell.Wait(); err != nil {
				return ring.Frame{}, err
			}
			p.rings.in.Awake()
		}
	}
}

func (p *pumped) overdue(t *testing.T) {
	late := time.AfterFunc(pumpPatience, func() { p.end(shm.ErrClosed) })
	t.Cleanup(func() { late.Stop() })
}

// What there is goes out at once, up to a bound.
func TestPumpGathersFrames(t *testing.T) {
	p := newPumped(t, 4*streamBuffer)
	var want []byte
	write := func(count, size int) {
		for i := range count {
			frame := numbered(i, size)
			want = appendFrame(want, frame)
			require.NoError(t, p.rings.writeFrame(frame.Payload, frame.More, make(waiter, 1), nil))
		}
	}
	write(100, 20)
	got, err := p.pump.gather(nil)
	require.NoError(t, err)
	require.True(t, bytes.Equal(want, got), "%d bytes, want %d", len(got), len(want))

	write(80, 1000)
	got, err = p.pump.gather(got)
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(got), streamBuffer)
	require.Less(t, len(got), streamBuffer+ring.WordSize+1000)
	p.start() // sends the rest
	p.overdue(t)
	rest := make([]byte, len(want)-len(got))
	_, err = io.ReadFull(p.peer, rest)
	require.NoError(t, err)
	require.True(t, bytes.Equal(want, append(got, rest...)))
}

// Frames go both ways through rings that hold few of them, while nobody reads
// at first, and each side stops where the other one does not go on.
func TestPumpWaitsForRoom(t *testing.T) {
	frames := 20000
	if testing.Short() {
		frames = 4000
	}
	p := newPumped(t, ring.MinCapacity)
	p.start()
	p.overdue(t)
	size := func(i int) int { return 4 + i*7%(ring.MaxPayload(ring.MinCapacity)-3) }

	var wg sync.WaitGroup
	failed := make(chan error, 2)
	wg.Add(2)
	go func() { // the worker sends
		defer wg.Done()
		for i := range frames {
			if _, err := p.peer.Write(appendFrame(nil, numbered(i, size(i)))); err != nil {
				failed <- err
				return
			}
		}
	}()
	go func() { // a handler sends
		defer wg.Done()
		w := make(waiter, 1)
		for i := range frames {
			frame := numbered(i, size(i))
			if err := p.rings.writeFrame(frame.Payload, frame.More, w, p.ctx.Err); err != nil {
				failed <- err
				return
			}
		}
	}()
	require.Eventually(t, func() bool {
		return p.rings.starved.Load() > 0
	}, pumpPatience, time.Millisecond, "the handler waits for room")
	for i := range frames {
		frame, err := p.take()
		require.NoError(t, err)
		require.Equal(t, numbered(i, size(i)), frame)
	}
	stream := bufio.NewReader(p.peer)
	for i := range frames {
		frame, err := readFrame(stream, nil, ring.MaxPayload(ring.MinCapacity))
		require.NoError(t, err)
		require.Equal(t, numbered(i, size(i)), frame)
	}
	wg.Wait()
	require.Empty(t, failed)
	require.Positive(t, p.rings.counters.FullWaits)
}

// Frames one at a time, each after the other side has gone to sleep.
func TestPumpWakes(t *testing.T) {
	p := newPumped(t, ring.MinCapacity)
	p.start()
	p.overdue(t)
	stream := bufio.NewReader(p.peer)
	w := make(waiter, 1)
	for i := range 500 {
		want := numbered(i, 4+i%100)
		stretch := appendFrame(nil, want)
		half := len(stretch) / 2 // in two pieces
		_, err := p.peer.Write(stretch[:half])
		require.NoError(t, err)
		_, err = p.peer.Write(stretch[half:])
		require.NoError(t, err)
		got, err := p.take()
		require.NoError(t, err)
		require.Equal(t, want, got)

		require.NoError(t, p.rings.writeFrame(want.Payload, want.More, w, p.ctx.Err))
		got, err = readFrame(stream, nil, ring.MaxPayload(ring.MinCapacity))
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}

// A worker that hangs up, wherever it was, ends its session in the ordinary way.
func TestPumpHangUp(t *testing.T) {
	whole := appendFrame(nil, ring.Frame{Payload: []byte("payload")})
	for _, n := range []int{0, 2, 4, 7, len(whole)} {
		t.Run(fmt.Sprintf("after %d bytes", n), func(t *testing.T) {
			p := newPumped(t, ring.MinCapacity)
			ended := p.start()
			_, err := p.peer.Write(whole[:n])
			require.NoError(t, err)
			require.NoError(t, p.peer.Close())
			select {
			case err := <-ended:
				require.NoError(t, err)
			case <-time.After(pumpPatience):
				require.FailNow(t, "the hang-up is not seen")
			}
		})
	}
}

// The session's end ends a pump that waits: for frames, for room in the ring,
// for a worker that does not read.
func TestPumpEndsWithItsSession(t *testing.T) {
	for name, fill := range map[string]func(*testing.T, *pumped){
		"idle": func(*testing.T, *pumped) {},
		"full ring": func(t *testing.T, p *pumped) {
			for i := range 20 {
				_, err := p.peer.Write(appendFrame(nil, numbered(i, 200)))
				require.NoError(t, err)
			}
			require.Eventually(t, func() bool {
				return !p.rings.in.Sleep() && p.rings.in.ClaimWake()
			}, pumpPatience, time.Millisecond, "the pump waits for room")
		},
		"full socket": func(t *testing.T, p *pumped) {
			w := make(waiter, 1)
			for i := range 100000 {
				frame := numbered(i, 200)
				sent, err := p.rings.tryWrite(frame.Payload, frame.More, w)
				require.NoError(t, err)
				if sent {
					continue
				}
				select {
				case <-w:
				case <-time.After(200 * time.Millisecond):
					return // nothing moves: it is full
				}
			}
			require.FailNow(t, "a socket without end")
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPumped(t, ring.MinCapacity)
			ended := p.start()
			fill(t, p)
			p.end(errHangUp)
			select {
			case err := <-ended:
				require.Error(t, err)
			case <-time.After(pumpPatience):
				require.FailNow(t, "the pump goes on")
			}
			gone := make(chan struct{})
			go func() { p.open.Wait(); close(gone) }()
			select {
			case <-gone:
			case <-time.After(pumpPatience):
				require.FailNow(t, "a goroutine stays")
			}
			for {
				if _, err := p.peer.Read(make([]byte, 64<<10)); err != nil {
					require.NotErrorIs(t, err, shm.ErrClosed)
					return // EOF, or reset where bytes were not read
				}
			}
		})
	}
}

func TestLocalBell(t *testing.T) {
	b := newLocalBell()
	require.NoError(t, b.Ring())
	require.NoError(t, b.Ring())
	require.NoError(t, b.Wait(), "rings before the wait count as one")
	go func() { _ = b.Close() }()
	require.ErrorIs(t, b.Wait(), shm.ErrClosed)
	require.NoError(t, b.Close())
	require.NoError(t, b.Ring())
}
