package chaos

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kongring/kongring/luabridge/testbed"
)

// What the faults of the table do, and how it is undone.

func killServer(e *episode) error {
	e.server().Kill()
	return nil
}

// sawInFlight times the answer of an event that was under way when its server was
// killed. It is the server's death that has to end it, and not its time, which was
// over much later. In a pair the worker that answers may be stopped itself.
func (e *episode) sawInFlight(a *answer) {
	// Certainly in the handler by then, and nowhere else afterwards.
	const sure = 20 * time.Millisecond
	killed := e.began
	if !e.fault.inFlight || e.paired || a.kind != unavailable || !strings.HasPrefix(a.request.do[e.name], "slow:") ||
		a.begun.Add(sure).After(killed) || a.end.Before(killed) {
		return
	}
	e.inFlight = append(e.inFlight, a.end.Sub(killed))
	if killed.Sub(a.begun) < limit/3 && a.end.Sub(a.begun) >= limit {
		e.judge.broken("server %s was killed at %s, and its event was over when its time was: %s", e.name, killed.Format(clock), a)
	}
}

func startServer(e *episode) error {
	e.former = e.server()
	return e.site.startServer(e.ctx, e.name)
}

func endServer(e *episode) error { return e.server().Stop(e.ctx) }

func endFormer(e *episode) error { return e.former.Stop(e.ctx) }

func signalServer(s unix.Signal) func(*episode) error {
	return func(e *episode) error { return unix.Kill(e.server().PID(), s) }
}

func signalWorker(s unix.Signal) func(*episode) error {
	return func(e *episode) error { return unix.Kill(int(e.worker), s) }
}

func reload(e *episode) error { return e.site.host.Reload(e.ctx) }

// changeConfig has nginx read a config with another tag, which all answers
// show once the fault is over.
func changeConfig(e *episode) error {
	tag, err := e.site.newConfig()
	if err != nil {
		return err
	}
	e.tag = tag
	return reload(e)
}

// few gives a limit for who has n descriptors: from none at all to three more. A
// low one keeps from use also those of sessions that end.
func few(rng *rand.Rand, n uint64) uint64 { return rng.Uint64N(n + 4) }

// starveServer leaves the server some descriptors, too few for more workers, and
// has nginx start new ones. With some of them an attachment fails half way; with
// one, shared memory is refused and the socket is not.
func starveServer(e *episode) error {
	pid := e.server().PID()
	n, err := openFiles(pid)
	if err != nil {
		return err
	}
	if e.undone, err = lower(pid, unix.RLIMIT_NOFILE, few(e.rng, n)); err != nil {
		return err
	}
	return reload(e)
}

// starveWorker leaves the worker as many, and has it attach anew.
func starveWorker(e *episode) error {
	n, err := openFiles(int(e.worker))
	if err != nil {
		return err
	}
	if e.undone, err = lower(int(e.worker), unix.RLIMIT_NOFILE, few(e.rng, n)); err != nil {
		return err
	}
	e.server().Kill()
	return startServer(e)
}

// release gives back what was taken.
func release(e *episode) error {
	e.undone()
	return nil
}

// refuseMemory puts a server in the place that the kernel refuses shared memory:
// its workers attach by the socket.
func refuseMemory(e *episode) error {
	e.server().Kill()
	if err := e.site.startServer(e.ctx, e.name, "-no-memfd"); err != nil {
		return err
	}
	if err := e.allAttached(e.ctx); err != nil {
		return err
	}
	stats, err := e.server().Stats()
	if err != nil {
		return err
	}
	for _, s := range stats.Sessions {
		if s.Carrier != "socket" {
			return fmt.Errorf("worker %d attached by the %s", s.PID, s.Carrier)
		}
	}
	return nil
}

// replace puts another server in the place, and then ends the one that was there.
func replace(e *episode) error {
	if err := startServer(e); err != nil {
		return err
	}
	return endFormer(e)
}

// vanishing has a crowd of clients leave in the middle of their bodies.
func vanishing(e *episode) error {
	for range 100 {
		r := e.load.request()
		r.fill(1 << (10 + e.rng.IntN(10)))
		r.takesBody(e.rng.IntN(len(names)))
		at := e.rng.IntN(len(r.body))
		e.load.gone.Add(1)
		e.send(func() { vanish(e.site.host.Addr(), r, at) })
	}
	return nil
}

// crowd sends n requests at once with the same deed at the server.
func crowd(n int, deed string, expect kinds) func(*episode) error {
	return func(e *episode) error {
		for range n {
			r := e.load.request()
			r.do[e.name] = deed
			r.expect = expect
			e.send(func() { e.judge.take(send(e.site.host.Addr(), r)) })
		}
		return nil
	}
}

// pressure sends what does not fit into the rings, and stops the server when they
// are full.
func pressure(e *episode) error {
	for i := range 40 {
		r := e.load.request()
		switch i % 4 {
		case 0:
			r.fill(1 << 20)
			r.takesBody(slices.Index(names, e.name))
		case 1:
			r.do[e.name] = "writes:2000"
		case 2:
			r.do[e.name] = "long:512"
		case 3:
			r.do[e.name], r.expect = "slow:", timeout
		}
		e.send(func() { e.judge.take(send(e.site.host.Addr(), r)) })
	}
	full := func() (waits float64, err error) {
		stats, err := e.server().Stats()
		for _, s := range stats.Sessions {
			waits += s.Bridge.FullWaits
		}
		return waits, err
	}
	before, err := full()
	if err != nil {
		return err
	}
	err = testbed.Eventually(e.ctx, patience, "a worker waits for room in its ring", func() bool {
		now, err := full()
		return err == nil && now > before
	})
	if err != nil {
		return err
	}
	return unix.Kill(e.server().PID(), unix.SIGSTOP)
}

// send runs a client of the fault's own.
func (e *episode) send(client func()) {
	e.crowd.Add(1)
	go func() { defer e.crowd.Done(); client() }()
}
