package suite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/kongring/kongring/bench"
	"github.com/kongring/kongring/luabridge/testbed"
)

// Soak is what a long time of full load leaves behind.
type Soak struct {
	When     time.Time
	Machine  bench.Facts
	Mode     string
	Samples  []SoakSample
	Requests float64 // answered, all of them with 200
	Events   uint64  // that the server began; each has one end, on both sides
}

// SoakSample is what one stretch of a soak showed.
type SoakSample struct {
	Second             float64 // of the soak, at the end of the stretch
	RPS, P99           float64 // P99 in microseconds
	WorkerKB, ServerKB int64   // resident memory
}

// soakConns and soakCalls are the load: connections, and calls of each request,
// of all kinds.
const (
	soakConns = 16
	soakCalls = 10
)

// soakGrowth is how much more memory than after the first fifth a process may
// have at the end: it is called flat below.
const soakGrowth = 1.1

// RunSoak keeps a mode under full load for a time, in stretches, and looks at the
// memory of both sides after each. It gives an error when a request failed, when
// the counters of the two sides do not agree in the end, or when memory grew.
func RunSoak(ctx context.Context, name string, length, stretch time.Duration, progress io.Writer) (s Soak, err error) {
	s = Soak{When: time.Now().UTC().Truncate(time.Second), Machine: bench.Look(), Mode: name}
	r, err := prepare(ctx, Plan{Seconds: stretch.Seconds(), Kind: "mix"}, progress)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(r.dir)) }()
	m := modeNamed(name)
	routes := []interface{}{route("/", m.plugin, map[string]interface{}{"n": soakCalls, "kind": r.Kind})}
	err = r.withBed(ctx, m, m.plugin, routes, func(b *testbed.Bed) error {
		for start := time.Now(); time.Since(start) < length; {
			if err := r.soakStretch(ctx, b, start, &s); err != nil {
				return err
			}
		}
		return settled(ctx, b, &s)
	})
	if err != nil {
		return s, err
	}
	return s, s.flat()
}

func (r *run) soakStretch(ctx context.Context, b *testbed.Bed, start time.Time, s *Soak) error {
	result, err := r.wrk(ctx, b.Host.URL()+target, soakConns)
	if err != nil {
		return err
	}
	workers, err := b.Host.Workers()
	if err != nil {
		return err
	}
	if len(workers) != 1 {
		return fmt.Errorf("%d workers instead of one", len(workers))
	}
	sample := SoakSample{Second: time.Since(start).Seconds(), RPS: result.rps, P99: result.p99}
	if sample.WorkerKB, err = residentKB(workers[0]); err != nil {
		return err
	}
	if sample.ServerKB, err = residentKB(b.Server.PID()); err != nil {
		return err
	}
	s.Requests += result.requests
	s.Samples = append(s.Samples, sample)
	r.say("%6.0f s %8.0f req/s  p99 %6.0f us  worker %6d KiB  server %6d KiB\n",
		sample.Second, sample.RPS, sample.P99, sample.WorkerKB, sample.ServerKB)
	return nil
}

// residentKB gives the memory of a process in KiB.
func residentKB(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	return statusNumber(string(text), "VmRSS"), err
}

// settled waits until every event has its end, on both sides, and checks that no
// session was lost and no event failed.
func settled(ctx context.Context, b *testbed.Bed, s *Soak) error {
	var last string
	err := testbed.Eventually(ctx, 3*patience, "the counters of both sides agree", func() bool {
		stats, err := b.Server.Stats()
		if err != nil || len(stats.Sessions) != 1 {
			last = fmt.Sprintf("%d sessions: %v", len(stats.Sessions), err)
			return false
		}
		n := stats.Sessions[0]
		last = fmt.Sprintf("%+v", stats)
		s.Events = n.Server.Events
		return stats.SessionsBegun == 1 && stats.SessionsFailed == 0 && n.UnderWay == 0 &&
			n.Server.Events == n.Server.EventsDone && float64(n.Server.Events) == n.Bridge.Events &&
			n.Bridge.Events == n.Bridge.EventsDone && n.Bridge.Open == 0 && n.Bridge.Errors == 0 &&
			float64(n.Server.Events) >= s.Requests
	})
	if err != nil {
		return fmt.Errorf("%w: %s", err, last)
	}
	return nil
}

// flat compares the memory at the end with that after the warm-up.
func (s *Soak) flat() error {
	if len(s.Samples) < 5 {
		return nil // too short to say
	}
	warm, end := s.Samples[len(s.Samples)/5], s.Samples[len(s.Samples)-1]
	for _, p := range []struct {
		name      string
		warm, end int64
	}{{"worker", warm.WorkerKB, end.WorkerKB}, {"server", warm.ServerKB, end.ServerKB}} {
		if float64(p.end) > soakGrowth*float64(p.warm) {
			return fmt.Errorf("memory of the %s grew from %d KiB after %.0f s to %d KiB after %.0f s",
				p.name, p.warm, warm.Second, p.end, end.Second)
		}
	}
	return nil
}
