package suite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/kongring/kongring/bench"
	"github.com/kongring/kongring/luabridge/testbed"
	"github.com/kongring/kongring/server"
)

// Soak is what a long time of full load leaves behind. The package comment lists
// the keys.
type Soak struct {
	When      time.Time    `json:"when"`
	Machine   bench.Facts  `json:"machine"`
	LoadAfter string       `json:"load_after"` // as Machine.Load, which is from before
	Mode      string       `json:"mode"`
	Kind      string       `json:"kind"`
	Conns     int          `json:"conns"`
	Calls     int          `json:"calls"`
	Took      float64      `json:"took_s"`
	Requests  float64      `json:"requests"` // answered, all of them with 200
	Events    uint64       `json:"events"`   // that the server began
	Verdict   string       `json:"verdict"`
	Samples   []SoakSample `json:"samples"`
}

// soakConns and soakCalls are the load: connections, and calls of each request,
// of all kinds.
const (
	soakConns = 16
	soakCalls = 10
)

// soakPatience is how late an answer may come, for wrk. On a machine that has
// other work to do, seconds are not the fault of who answers. An answer that never
// comes is nothing to wrk, but an event that failed, or is open, to the counters.
const soakPatience = "30s"

// SoakStretch gives the length of a stretch of a soak: a 120th of it, but five
// seconds at least, and a tenth of a short one.
func SoakStretch(length time.Duration) time.Duration {
	return min(max(length/120, 5*time.Second), length/10)
}

// RunSoak keeps a mode under full load for a time, in stretches, and looks at both
// sides in the middle and at the end of each. It gives an error when a request
// failed, when the counters of the two sides do not agree in the end, or when
// memory, descriptors or goroutines grew; what was seen until then is in the Soak.
func RunSoak(ctx context.Context, name string, length, stretch time.Duration, progress io.Writer) (s Soak, err error) {
	s = Soak{
		When: time.Now().UTC().Truncate(time.Second), Machine: bench.Look(),
		Mode: name, Kind: "mix", Conns: soakConns, Calls: soakCalls,
	}
	r, err := prepare(ctx, Plan{Seconds: stretch.Seconds(), Kind: s.Kind}, FromSource, NewProgress(progress))
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(r.dir)) }()
	m := modeNamed(name)
	routes := []interface{}{route("/", m.plugin, map[string]interface{}{"n": s.Calls, "kind": r.Kind})}
	var cause error // of err, without the logs
	err = r.withBed(ctx, m, m.plugin, routes, func(b *testbed.Bed) error {
		cause = r.soak(ctx, b, length, &s)
		return cause
	})
	if cause == nil {
		cause = err
	}
	s.conclude(cause)
	s.LoadAfter = loadNow()
	return s, err
}

func (r *run) soak(ctx context.Context, b *testbed.Bed, length time.Duration, s *Soak) error {
	w := watcher{bed: b}
	for start := time.Now(); time.Since(start) < length; {
		sample, requests, err := r.soakStretch(ctx, &w)
		if err != nil {
			return err
		}
		sample.Second = time.Since(start).Seconds()
		s.Requests += requests
		s.Samples = append(s.Samples, sample)
		s.Took = sample.Second
		r.say("%6.0f s %8.0f req/s  p50 %5.0f us  p99 %6.0f us  most %7.0f us  worker %6d KiB %3d fds  server %6d KiB %3d fds %3d goroutines\n",
			sample.Second, sample.RPS, sample.P50, sample.P99, sample.Most,
			sample.Worker.KiB, sample.Worker.FDs, sample.Server.KiB, sample.Server.FDs, sample.Server.Goroutines)
	}
	if err := settled(ctx, b, s); err != nil {
		return err
	}
	return s.growth()
}

// soakStretch is one stretch of load, with a look from its middle and one from
// the rest behind it.
func (r *run) soakStretch(ctx context.Context, w *watcher) (SoakSample, float64, error) {
	var busy SoakSample
	var errBusy error
	seen := make(chan struct{})
	middle := time.AfterFunc(time.Duration(r.Seconds/2*float64(time.Second)), func() {
		defer close(seen)
		busy, errBusy = w.patientLook(ctx)
	})
	result, err := r.wrk(ctx, w.bed.Host.URL()+target, soakConns, "--timeout", soakPatience)
	if !middle.Stop() {
		<-seen
	}
	if err = errors.Join(err, errBusy); err != nil {
		return busy, 0, err
	}
	sample, err := w.rest(ctx)
	sample.RPS, sample.P50, sample.P99, sample.Most = result.rps, result.p50, result.p99, result.max
	sample.Open, sample.Load = busy.Open, busy.Load
	return sample, result.requests, err
}

// settled waits until every event has its end, on both sides, and checks that no
// session was lost and no event failed.
func settled(ctx context.Context, b *testbed.Bed, s *Soak) error {
	var last error
	err := testbed.Eventually(ctx, 3*patience, "the counters of both sides agree", func() bool {
		stats, err := b.Server.Stats()
		if err == nil {
			err = agree(stats, s.Requests)
		}
		if len(stats.Sessions) == 1 {
			s.Events = stats.Sessions[0].Server.Events
		}
		last = err
		return err == nil
	})
	if err != nil {
		return fmt.Errorf("%w: %w", err, last)
	}
	return nil
}

// agree compares the counters of the two sides with each other and with the
// requests that were answered. Requests that were cut off are events as well.
func agree(stats server.Stats, requests float64) error {
	if len(stats.Sessions) != 1 || stats.SessionsBegun != 1 || stats.SessionsFailed != 0 {
		return fmt.Errorf("%d sessions now, %d begun, %d failed; want 1, 1, 0", len(stats.Sessions), stats.SessionsBegun, stats.SessionsFailed)
	}
	n := stats.Sessions[0]
	switch events := float64(n.Server.Events); {
	case n.Server.EventsDone != n.Server.Events, n.Bridge.Events != events, n.Bridge.EventsDone != events:
		return fmt.Errorf("events: server %d begun, %d done; worker %.0f begun, %.0f done",
			n.Server.Events, n.Server.EventsDone, n.Bridge.Events, n.Bridge.EventsDone)
	case n.UnderWay != 0, n.Bridge.Open != 0:
		return fmt.Errorf("events without an end: server %d, worker %.0f", n.UnderWay, n.Bridge.Open)
	case n.Bridge.Errors != 0:
		return fmt.Errorf("%.0f events failed in the worker", n.Bridge.Errors)
	case events < requests:
		return fmt.Errorf("%.0f requests, but %.0f events", requests, events)
	}
	return nil
}

// loadNow is the machine's load, as in /proc/loadavg.
func loadNow() string {
	text, _ := os.ReadFile("/proc/loadavg")
	return strings.TrimSpace(string(text))
}
