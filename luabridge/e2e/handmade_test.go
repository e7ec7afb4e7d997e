package e2e_test

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/ring"
	"github.com/kongring/kongring/server/wire"
	"github.com/kongring/kongring/shm"
)

// handmade is a plugin server whose hello is right, and whose sessions do what
// the test likes.
type handmade struct {
	listener *shm.Listener
	capacity int // of each ring, in bytes
	session  func(*handSession)
	wg       sync.WaitGroup

	mu       sync.Mutex
	stopped  bool
	sessions map[uint32]*handSession
	last     uint32
}

// handSession is a session of a handmade server with one worker.
type handSession struct {
	id       uint32
	segment  *shm.Segment
	in       *ring.Consumer
	out      *ring.Producer
	control  *shm.Conn
	doorbell *shm.Conn
	ctx      context.Context // ends when the worker hangs up, and when the server stops
	begun    sync.Once
}

// serveByHand listens at the socket. It calls session for each worker whose
// doorbell is there, in a goroutine of its own; the doorbell is hung up when
// session returns.
func serveByHand(t *testing.T, socket string, capacity int, session func(*handSession)) *handmade {
	t.Helper()
	l, err := shm.Listen(socket, 0o600)
	require.NoError(t, err)
	h := &handmade{listener: l, capacity: capacity, session: session, sessions: map[uint32]*handSession{}}
	h.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			h.wg.Go(func() { h.serve(c) })
		}
	})
	return h
}

func (h *handmade) serve(c *shm.Conn) {
	defer c.Close()
	hello, err := c.ReadHello(wire.Version, patience)
	switch {
	case err != nil:
	case hello.Kind == shm.HelloDoorbell:
		h.mu.Lock()
		s := h.sessions[hello.Session]
		h.mu.Unlock()
		if s != nil && c.Welcome(wire.Version, shm.Welcome{}, nil, nil) == nil {
			s.doorbell = c
			s.begun.Do(func() { h.session(s) })
		}
	default:
		_ = h.attach(c)
	}
}

// attach makes the session of a control connection, and returns when it is over.
func (h *handmade) attach(c *shm.Conn) error {
	h.mu.Lock()
	h.last++
	s := &handSession{id: h.last, control: c}
	h.mu.Unlock()
	size := ring.Size(h.capacity)
	segment, err := shm.Create("handmade", wire.Version, s.id, size, size, wire.CountersSize, wire.CountersSize)
	if err != nil {
		return err
	}
	defer segment.Close()
	bell, err := shm.NewBell()
	if err != nil {
		return err
	}
	defer bell.Close()
	s.segment = segment
	for _, region := range []int{wire.RegionToServer, wire.RegionToWorker} {
		if err := ring.Format(segment.Region(region)); err != nil {
			return err
		}
	}
	if s.in, err = ring.NewConsumer(segment.Region(wire.RegionToServer)); err != nil {
		return err
	}
	if s.out, err = ring.NewProducer(segment.Region(wire.RegionToWorker)); err != nil {
		return err
	}
	var cancel context.CancelFunc
	s.ctx, cancel = context.WithCancel(context.Background())
	defer s.begun.Do(func() {}) // waits for one that is under way
	defer cancel()
	h.mu.Lock()
	stopped := h.stopped
	h.sessions[s.id] = s
	h.mu.Unlock()
	defer h.forget(s.id)
	if stopped {
		return nil
	}
	if err := c.Welcome(wire.Version, shm.Welcome{Session: s.id, Limit: 1 << 20}, segment, bell); err != nil {
		return err
	}
	return c.Watch(func() {})
}

func (h *handmade) forget(id uint32) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.sessions, id)
}

// stop closes the listener and hangs up on all workers. It returns when no
// session is left.
func (h *handmade) stop() {
	_ = h.listener.Close()
	h.mu.Lock()
	h.stopped = true
	for _, s := range h.sessions {
		_ = s.control.Close()
	}
	h.mu.Unlock()
	h.wg.Wait()
}
