package server_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/server"
	"github.com/kongring/kongring/server/liar"
	"github.com/kongring/kongring/server/wire"
	"github.com/kongring/kongring/shm"
)

const (
	stormRing    = 4 << 10
	stormMessage = 16 << 10
	// stormHeap is the most memory that a server may have from the system after
	// a storm, in bytes: a few times what it has without one.
	stormHeap = 128 << 20
)

// stormOptions are those of a server that is lied to.
func stormOptions() []server.Option {
	return []server.Option{
		server.WithRingCapacity(stormRing), server.WithMaxMessage(stormMessage), server.WithGrace(patience),
		withVaried(),
	}
}

// stormConfigs has few of those whose handlers keep the reader for a while.
var stormConfigs = []string{
	`{"name":"calls"}`, `{"name":"calls"}`, `{"name":"exits"}`, `{}`, `{}`, `{}`, `{}`, `{}`, `{}`, `{`, `{"name":"waits"}`,
}

// causes is a log that keeps the reasons for which sessions were closed, by
// number, and fails the test for what must not happen.
type causes struct {
	mu    sync.Mutex
	count liar.Causes
	never []string
}

func newCauses() *causes { return &causes{count: liar.Causes{}} }

func (c *causes) Write(line []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	text := string(line)
	switch {
	case strings.Contains(text, `msg="session closed"`):
		_, cause, _ := strings.Cut(text, "cause=")
		c.count.Add(strings.TrimSpace(cause))
	case strings.Contains(text, "handler panicked"), strings.Contains(text, "close segment"):
		c.never = append(c.never, text)
	}
	return len(line), nil
}

func (c *causes) logger() *slog.Logger { return slog.New(slog.NewTextHandler(c, nil)) }

// storm lies to the server at a socket until so many lies were told, session
// after session, from as many goroutines as there are processors.
func storm(t testing.TB, socket string, goal uint64, tally *liar.Tally) {
	var wg sync.WaitGroup
	var next atomic.Uint64
	for range max(2, runtime.GOMAXPROCS(0)) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for tally.Mutations() < goal && !t.Failed() {
				if err := stormSession(socket, next.Add(1), tally); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	wg.Wait()
}

// stormSession attaches and lies until the server closes the session or has been
// lied to for long enough. What it does follows from the seed, but for when.
func stormSession(socket string, seed uint64, tally *liar.Tally) error {
	a, err := shm.Dial(socket, shm.Hello{Kind: shm.HelloAttach, App: wire.Version, CPU: shm.CPUUnknown}, patience)
	if err != nil {
		return err
	}
	gone := make(chan struct{})
	var over atomic.Bool
	go func() {
		defer close(gone)
		for a.WaitRing() == nil {
		}
		over.Store(true)
	}()
	tally.Sessions.Add(1)
	w := liar.NewWorker(seed, a.Segment, tally, "scripted", stormConfigs...)
	w.Wild = []int{0, 1, 10, 100, 1000}[seed%5]
	stop := make(chan struct{})
	var flips sync.WaitGroup
	if seed%7 == 0 {
		flips.Add(1)
		go func() { defer flips.Done(); w.Flip(seed, stop) }()
	}
	for range 5000 {
		if over.Load() {
			break
		}
		w.Lie()
		for tries := 0; !w.Room(200) && tries < 5000 && !over.Load(); tries++ {
			if tries%64 == 0 {
				_ = a.Bell.Ring() // whether or not it said that it sleeps: that may be a lie by now
			}
			runtime.Gosched()
		}
		if w.Rand.IntN(8) == 0 {
			_ = a.Bell.Ring()
		}
	}
	close(stop)
	flips.Wait()
	// Its memory goes when nobody uses it any more.
	err = a.Close()
	<-gone
	return err
}

// A server that is lied to by every worker it has closes their sessions, serves
// an honest one meanwhile, and needs no more memory than before.
func TestStorm(t *testing.T) {
	log := newCauses()
	s, socket := start(t, append(stormOptions(), server.WithLogger(log.logger()))...)
	honest := attach(t, socket)
	calls := honest.instance("scripted", `{"name":"honest"}`)
	stop, done := make(chan struct{}), make(chan int)
	go func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				done <- n
				return
			default:
			}
			head := honest.event(0, calls)
			if got, body := honest.expect(wire.TypeDone, head); got.Code != wire.StatusOK {
				t.Errorf("an honest event ended with %d %q", got.Code, body)
			}
		}
	}()
	tally := new(liar.Tally)
	storm(t, socket, liar.Goal(t, 100_000, 2_000_000), tally)
	close(stop)
	served := <-done
	require.Eventually(t, func() bool { return len(s.Stats().Sessions) == 1 }, patience, time.Millisecond,
		"sessions stay")
	stats := s.Stats()
	t.Logf("%s; %d honest events; %d sessions closed for damage:%s", tally, served, stats.SessionsFailed, log.count)
	require.Positive(t, served)
	require.Empty(t, log.never)
	require.EqualValues(t, tally.Sessions.Load()+1, stats.SessionsBegun)
	require.Positive(t, stats.SessionsFailed)
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	require.Less(t, m.Sys, uint64(stormHeap), "bytes from the system")
}

// playVictim serves until its standard input ends.
func playVictim(socket string) error {
	log := newCauses()
	s, err := server.New(append(stormOptions(), server.WithSocket(socket), server.WithLogger(log.logger()))...)
	if err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = s.Close()
	}()
	fmt.Println("serves")
	if err := s.Serve(context.Background()); !errors.Is(err, server.ErrServerClosed) {
		return err
	}
	if len(log.never) > 0 {
		return fmt.Errorf("%v", log.never)
	}
	fmt.Print(log.count)
	return nil
}

// The same with the server in a process of its own, whose life and memory the
// kernel vouches for.
func TestStormFromAnotherProcess(t *testing.T) {
	socket := socketPath(t)
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), role+"=victim", rolePath+"="+socket)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewReader(out)
	_, err = lines.ReadString('\n')
	require.NoError(t, err)
	require.Eventually(t, func() bool { _, err := server.Inspect(socket, patience); return err == nil }, patience, time.Millisecond)

	tally := new(liar.Tally)
	storm(t, socket, liar.Goal(t, 20_000, 500_000), tally)
	require.Eventually(t, func() bool {
		stats, err := server.Inspect(socket, patience)
		return err == nil && len(stats.Sessions) == 0
	}, patience, time.Millisecond, "sessions stay")
	stats, err := server.Inspect(socket, patience)
	require.NoError(t, err)
	peak := liar.PeakMemory(t, cmd.Process.Pid)
	require.NoError(t, in.Close())
	found, err := io.ReadAll(lines)
	require.NoError(t, err)
	require.NoError(t, cmd.Wait())
	t.Logf("%s; %d sessions closed for damage; %d MiB at most:%s", tally, stats.SessionsFailed, peak>>20, found)
	require.Positive(t, stats.SessionsFailed)
	require.Less(t, peak, uint64(stormHeap))
}
