package e2e_test

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/luabridge/testbed"
	"github.com/kongring/kongring/ring"
	"github.com/kongring/kongring/server/liar"
	"github.com/kongring/kongring/server/wire"
	"github.com/kongring/kongring/shm"
)

// liarServer is a plugin server that welcomes workers and lies to them.
type liarServer struct {
	listener *shm.Listener
	tally    *liar.Tally
	goal     uint64
	wg       sync.WaitGroup
	mu       sync.Mutex
	sessions map[uint32]*lied
	last     uint32
	over     atomic.Bool
}

// lied is one session with a worker.
type lied struct {
	segment *shm.Segment
	bell    *shm.Bell
	conn    *shm.Conn
	begun   sync.Once
	gone    chan struct{}
}

const stormRing = 16 << 10

func newLiar(t *testing.T, socket string, goal uint64) *liarServer {
	l, err := shm.Listen(socket, 0o600)
	require.NoError(t, err)
	s := &liarServer{listener: l, tally: new(liar.Tally), goal: goal, sessions: map[uint32]*lied{}}
	s.wg.Add(1)
	go func() { defer s.wg.Done(); s.accept() }()
	return s
}

func (s *liarServer) accept() {
	for {
		c, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.wg.Add(1)
		go func() { defer s.wg.Done(); s.serve(c) }()
	}
}

func (s *liarServer) serve(c *shm.Conn) {
	defer c.Close()
	hello, err := c.ReadHello(wire.Version, patience)
	if err != nil {
		return
	}
	if hello.Kind == shm.HelloDoorbell {
		s.mu.Lock()
		n := s.sessions[hello.Session]
		s.mu.Unlock()
		if n != nil && c.Welcome(wire.Version, shm.Welcome{}, nil, nil) == nil {
			n.begun.Do(func() { s.lie(hello.Session, n, c) })
		}
		return
	}
	size := ring.Size(stormRing)
	s.mu.Lock()
	s.last++
	id := s.last
	s.mu.Unlock()
	segment, err := shm.Create("liar", wire.Version, id, size, size, wire.CountersSize, wire.CountersSize)
	if err != nil {
		return
	}
	defer segment.Close()
	bell, err := shm.NewBell()
	if err != nil {
		return
	}
	defer bell.Close()
	_ = ring.Format(segment.Region(wire.RegionToServer))
	_ = ring.Format(segment.Region(wire.RegionToWorker))
	n := &lied{segment: segment, bell: bell, conn: c, gone: make(chan struct{})}
	s.mu.Lock()
	s.sessions[id] = n
	s.mu.Unlock()
	s.tally.Sessions.Add(1)
	if c.Welcome(wire.Version, shm.Welcome{Session: id, Limit: 1 << 20}, segment, bell) == nil {
		_ = c.Watch(func() {})
	}
	close(n.gone)
	n.begun.Do(func() {}) // waits for one that lies
	s.mu.Lock()
	delete(s.sessions, id)
	s.mu.Unlock()
}

// lie lies to a worker until it hangs up or has been lied to for long enough.
func (s *liarServer) lie(seed uint32, n *lied, doorbell *shm.Conn) {
	l := liar.NewServer(uint64(seed), n.segment, s.tally)
	l.Wild = []int{0, 1, 10, 100, 1000}[seed%5]
	stop := make(chan struct{})
	var flips sync.WaitGroup
	defer flips.Wait()
	defer close(stop)
	if seed%7 == 0 {
		flips.Add(1)
		go func() { defer flips.Done(); l.Flip(uint64(seed), stop) }()
	}
	gone := func() bool {
		select {
		case <-n.gone:
			return true
		default:
			return s.over.Load()
		}
	}
	for range 2000 {
		if gone() {
			break
		}
		l.Lie()
		for tries := 0; !l.Room(600) && tries < 2000 && !gone(); tries++ {
			if tries%64 == 0 {
				_ = doorbell.Ring()
			}
			time.Sleep(10 * time.Microsecond)
		}
		if l.Rand.IntN(16) == 0 {
			_ = doorbell.Ring()
		}
	}
	_ = n.conn.Close()
}

func (s *liarServer) stop() {
	s.over.Store(true)
	_ = s.listener.Close()
	s.mu.Lock()
	for _, n := range s.sessions {
		_ = n.conn.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
}

// A server that lies in every session never takes nginx along: each request has
// an answer, the worker stays the same and small, and it serves an honest server
// as if nothing had been.
func TestLuaStorm(t *testing.T) {
	goal := liar.Goal(t, 20_000, 1_000_000)
	b := start(t, func(o *testbed.Options) {
		o.NoServer = true
		handlerOf(t, o, "timeout = 0.3")
		// Sessions that come and go are the point here.
		patched(t, o, "bridge.lua", "BACK_OFF_MIN, BACK_OFF_MAX = 0.01, 0.25", "BACK_OFF_MIN, BACK_OFF_MAX = 0.001, 0.002")
		delete(o.Config, "global_plugins")
	})
	var end context.CancelFunc // of a run that may be long
	b.ctx, end = context.WithCancel(context.Background())
	defer end()
	workers, err := b.Host.Workers()
	require.NoError(t, err)
	s := newLiar(t, b.Socket(), goal)
	var answers, slow atomic.Uint64
	var wg sync.WaitGroup
	for range 24 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for s.tally.Mutations() < goal && !t.Failed() {
				begun := time.Now()
				if _, err := b.try("/direct", nil); err != nil {
					t.Error(err)
				}
				if answers.Add(1); time.Since(begun) > patience {
					slow.Add(1)
				}
			}
		}()
	}
	wg.Wait()
	s.stop()
	require.Zero(t, slow.Load())
	now, err := b.Host.Workers()
	require.NoError(t, err)
	require.Equal(t, workers, now, "the worker died")
	log, err := b.Host.ErrorLog()
	require.NoError(t, err)
	causes := liar.Causes{}
	for _, match := range regexp.MustCompile(`session \d+ closed: ([^,\n]*)`).FindAllStringSubmatch(log, -1) {
		causes.Add(match[1])
	}
	peak := peakMemory(t, workers[0])
	t.Logf("%s; %d requests; the worker had %d MiB at most; sessions closed for:%s", s.tally, answers.Load(), peak>>20, causes)
	require.Greater(t, len(causes), 3, "kinds of damage")
	require.NotContains(t, log, "[alert]")
	require.NotContains(t, log, "the bridge failed")
	require.Less(t, peak, uint64(256<<20))
	require.NoError(t, b.StartServer(b.ctx))
	b.eventually("requests succeed", func() bool { return b.do("nothing").status == 200 })
}

// peakMemory is the most memory in bytes that a process had, as the kernel
// counts it (VmHWM).
func peakMemory(t testing.TB, pid int) uint64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(text), "VmHWM:")
	require.True(t, found)
	var kb uint64
	_, err = fmt.Sscan(rest, &kb)
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(pid, 0))
	return kb << 10
}
