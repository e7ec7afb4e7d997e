package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/kongring/kongring/luabridge/testbed"
)

// episode is one time that a fault is done.
type episode struct {
	*run
	ctx    context.Context
	fault  *fault
	paired bool // with another one at the same time: no times are taken
	rng    *rand.Rand
	name   string // of the server that is chosen
	worker pid    // that is chosen

	before map[string]bool // workers before the fault, by number
	former *testbed.Server // the server that was replaced
	undone func()          // sets back a limit
	crowd  sync.WaitGroup  // requests that the fault itself sends
	tag    int             // of a new config, 0 without one
	seen   map[kinds]int   // answers of other kinds than what was asked for

	mu       sync.Mutex
	began    time.Time // of do
	since    time.Time // recovery counts from then; zero before
	first    time.Duration
	inFlight []time.Duration // from the server's death to the answers of its events
	attached time.Duration   // from since, until every worker is attached to both servers
}

type pid int

func (p pid) String() string { return strconv.Itoa(int(p)) }

func (e *episode) server() *testbed.Server { return e.site.server(e.name) }

// play does a fault and waits until all is well again.
func (r *run) play(ctx context.Context, f *fault, rng *rand.Rand, paired bool) (*episode, error) {
	e := &episode{run: r, ctx: ctx, fault: f, paired: paired, rng: rng, name: names[rng.IntN(len(names))], before: map[string]bool{}}
	workers := r.site.workers()
	for _, worker := range workers {
		e.before[strconv.Itoa(worker)] = true
	}
	if len(workers) == 0 {
		return e, fmt.Errorf("%s: no workers", f.name)
	}
	e.worker = pid(workers[rng.IntN(len(workers))])
	hold := f.hold[0]
	if more := f.hold[1] - f.hold[0]; more > 0 {
		hold += time.Duration(rng.Int64N(int64(more)))
	}
	r.say("%-42s %s, worker %d, %d ms\n", f.name, e.name, e.worker, hold.Milliseconds())

	stop := r.judge.watch(e.see)
	if f.inFlight && !paired {
		r.atRest = append(r.atRest, stop) // its events may be answered far too late
	} else {
		defer stop()
	}
	allows := f.allows
	if paired && f.stopped {
		allows |= unavailable
	}
	w := r.judge.open(f.name, allows)
	defer r.judge.close(w)
	e.mu.Lock()
	e.began = time.Now()
	e.mu.Unlock()
	if err := f.do(e); err != nil {
		return e, fmt.Errorf("%s: do: %w", f.name, err)
	}
	if f.undo != nil {
		select {
		case <-time.After(hold):
		case <-ctx.Done():
		}
		if err := f.undo(e); err != nil {
			return e, fmt.Errorf("%s: undo: %w", f.name, err)
		}
	}
	e.mu.Lock()
	if e.since.IsZero() {
		e.since = time.Now()
		if f.fromDo {
			e.since = e.began
		}
	}
	e.mu.Unlock()
	err := e.recovers()
	e.crowd.Wait()
	e.seen = w.seen
	if e.tag != 0 {
		r.judge.expectTag(e.tag)
	}
	return e, err
}

// see looks at an answer for what the episode measures.
func (e *episode) see(a *answer) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.sawInFlight(a)
	well := e.fault.well
	if well == nil || e.paired {
		well = passedServer
	}
	since := e.since
	if e.fault.fromDo {
		since = e.began
	}
	if e.first == 0 && !since.IsZero() && a.end.After(since) && well(e, a) {
		e.first = a.end.Sub(since)
	}
}

// recovers waits for an answer that shows it, and until every worker is attached.
func (e *episode) recovers() error {
	err := testbed.Eventually(e.ctx, patience, e.fault.name+": a request that shows that all is well", func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		return e.first != 0
	})
	if err != nil {
		return err
	}
	if err := e.allAttached(e.ctx); err != nil {
		return fmt.Errorf("%s: %w", e.fault.name, err)
	}
	e.attached = time.Since(e.since)
	return nil
}
