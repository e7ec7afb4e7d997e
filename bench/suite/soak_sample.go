package suite

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/kongring/kongring/luabridge/testbed"
)

// SoakSample is what one stretch of a soak showed.
type SoakSample struct {
	Second float64   `json:"second"` // of the soak, at the end of the stretch
	RPS    float64   `json:"rps"`
	P50    float64   `json:"p50_us"`
	P99    float64   `json:"p99_us"`
	Most   float64   `json:"most_us"`
	Open   int64     `json:"open"`   // events under way, in the middle of the stretch
	Load   float64   `json:"load"`   // of the machine then, over a minute
	Waited float64   `json:"waited"` // share of the stretch in which the worker could run, but had no core
	Worker Footprint `json:"worker"`
	Server Footprint `json:"server"`
}

// Footprint is what a process has of what the machine has not without end, at
// rest.
type Footprint struct {
	KiB        int64 `json:"rss_kib"`
	FDs        int   `json:"fds"`
	Goroutines int   `json:"goroutines,omitempty"` // of the server
}

// restFor is how long a stretch waits for connections and goroutines to end.
const restFor = 2 * time.Second

// watcher looks at worker and server of a bed.
type watcher struct {
	bed    *testbed.Bed
	worker int       // pid, 0 before the first look
	fewest counts    // at rest so far
	waited float64   // of the worker for a core, up to the last rest, in seconds
	rested time.Time // the last rest
}

// counts are those of a sample that come and go with connections and events.
type counts struct{ workerFDs, serverFDs, goroutines int }

func (c counts) least(d counts) counts {
	return counts{min(c.workerFDs, d.workerFDs), min(c.serverFDs, d.serverFDs), min(c.goroutines, d.goroutines)}
}

// patientLook looks until it sees something: on a busy machine the server may
// give up on who asks.
func (w *watcher) patientLook(ctx context.Context) (s SoakSample, err error) {
	var failed error
	err = testbed.Eventually(ctx, patience, "a look at both sides", func() bool {
		s, failed = w.look()
		return failed == nil
	})
	return s, errors.Join(err, failed)
}

// look takes the figures of both processes as they are.
func (w *watcher) look() (s SoakSample, err error) {
	workers, err := w.bed.Host.Workers()
	if err != nil {
		return s, err
	}
	if len(workers) != 1 || w.worker != 0 && workers[0] != w.worker {
		return s, fmt.Errorf("workers %v instead of one and the same", workers)
	}
	w.worker = workers[0]
	stats, err := w.bed.Server.Stats()
	if err != nil {
		return s, err
	}
	for _, n := range stats.Sessions {
		s.Open += n.UnderWay
	}
	s.Load, _ = strconv.ParseFloat(strings.Fields(loadNow() + " 0")[0], 64)
	if s.Worker, err = footprint(w.worker); err != nil {
		return s, err
	}
	s.Server, err = footprint(w.bed.Server.PID())
	s.Server.Goroutines = stats.Goroutines
	return s, err
}

// rest gives the figures once no event is under way and no more is counted than
// ever before at rest; or else what there was after restFor, with the least that
// was counted.
func (w *watcher) rest(ctx context.Context) (s SoakSample, failed error) {
	fewest := counts{math.MaxInt, math.MaxInt, math.MaxInt}
	// Not at rest in time is for the caller to judge, by the figures.
	_ = testbed.Eventually(ctx, restFor, "rest", func() bool {
		if s, failed = w.patientLook(ctx); failed != nil {
			return true
		}
		fewest = fewest.least(counts{s.Worker.FDs, s.Server.FDs, s.Server.Goroutines})
		return s.Open == 0 && w.fewest.least(fewest) == fewest
	})
	if failed = errors.Join(failed, ctx.Err()); failed != nil {
		return s, failed
	}
	if w.fewest == (counts{}) {
		w.fewest = fewest
	}
	w.fewest = w.fewest.least(fewest)
	s.Waited = w.wait()
	s.Worker.FDs, s.Server.FDs, s.Server.Goroutines = fewest.workerFDs, fewest.serverFDs, fewest.goroutines
	return s, nil
}

// wait gives how much of the time since the last rest the worker waited for a core,
// 0 the first time and where the kernel does not count it.
func (w *watcher) wait() float64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", w.worker))
	var ran, waited float64 // ns
	_, _ = fmt.Sscan(string(text), &ran, &waited)
	before, since, now := w.waited, w.rested, time.Now()
	w.waited, w.rested = waited/1e9, now
	if since.IsZero() {
		return 0
	}
	return (w.waited - before) / now.Sub(since).Seconds()
}

func footprint(pid int) (f Footprint, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return f, err
	}
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	return Footprint{KiB: statusNumber(string(text), "VmRSS"), FDs: len(fds)}, err
}
