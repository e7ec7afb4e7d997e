package suite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/kongring/kongring/luabridge/host"
	"github.com/kongring/kongring/luabridge/testbed"
	"github.com/kongring/kongring/server/wire"
	"github.com/kongring/kongring/shm"
)

// Scale is how one plugin server copes with more: workers, sessions that have
// nothing to do, and handlers that wait.
type Scale struct {
	Workers []Workers `json:"workers"`
	Idle    *Idle     `json:"idle_sessions,omitempty"`
	Slow    []Slow    `json:"slow_handlers"`
}

// Workers are requests through a number of nginx workers, ten calls for each.
type Workers struct {
	Workers int     `json:"workers"`
	RPS     float64 `json:"rps"`
	P99     float64 `json:"p99_us"`
}

// Idle is what sessions without traffic cost.
type Idle struct {
	Sessions   int     `json:"sessions"`
	SegmentKiB float64 `json:"segment_kib"`        // shared memory of a session
	ServerKiB  float64 `json:"server_kib"`         // the server's own memory for a session
	EventNS    float64 `json:"ns_per_event"`       // of ten calls, beside the idle sessions
	AloneNS    float64 `json:"ns_per_event_alone"` // without them
	IdleTicks  int64   `json:"idle_ticks_per_10s"` // of server and worker together
}

// Slow are requests whose handler waits, from a number of connections.
type Slow struct {
	Conns        int     `json:"conns"`
	Milliseconds int     `json:"handler_ms"`
	RPS          float64 `json:"rps"`
	Possible     float64 `json:"rps_possible"` // if nothing but the waiting took time
}

// slowness is how long a slow handler waits, in milliseconds.
const slowness = 10

func (r *run) runScale(ctx context.Context, report *Report) error {
	if len(r.workers) == 0 {
		return nil
	}
	report.Scale = &Scale{}
	for _, part := range []func(context.Context, *Scale) error{r.scaleWorkers, r.scaleIdle, r.scaleSlow} {
		if err := part(ctx, report.Scale); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) scaleWorkers(ctx context.Context, s *Scale) error {
	const conns = 64
	m := modeNamed("ring")
	routes := []interface{}{route("/", m.plugin, map[string]interface{}{"n": 10, "kind": r.Kind})}
	for _, n := range r.workers {
		r.step(r.requestCost(), "scale: %d workers", n)
		err := r.withHost(ctx, m, host.Options{Workers: n}, []string{m.plugin}, routes, func(b *testbed.Bed) error {
			if err := r.warm(ctx, b, false); err != nil {
				return err
			}
			result, err := r.wrk(ctx, b.Host.URL()+target, conns)
			s.Workers = append(s.Workers, Workers{n, result.rps, result.p99})
			return err
		})
		if err != nil {
			return fmt.Errorf("%d workers: %w", n, err)
		}
	}
	return nil
}

func (r *run) scaleIdle(ctx context.Context, s *Scale) error {
	r.step(r.idleCost(), "scale: %d idle sessions", r.idleSessions)
	idle := &Idle{Sessions: r.idleSessions}
	routes := []interface{}{r.loop("/", "calls", "header", 10)}
	event := func(b *testbed.Bed) (float64, error) {
		text, err := get(ctx, b, target)
		if err != nil {
			return 0, err
		}
		return strconv.ParseFloat(text, 64)
	}
	err := r.withPlugins(ctx, modeNamed("ring"), []string{"calls-loop"}, routes, func(b *testbed.Bed) (err error) {
		for range 2 { // the first one learns
			if idle.AloneNS, err = event(b); err != nil {
				return err
			}
		}
		before, err := privateKiB(b.Server.PID())
		if err != nil {
			return err
		}
		bytes, leave, err := attach(b.Socket(), idle.Sessions)
		defer func() { err = errors.Join(err, leave()) }()
		if err != nil {
			return err
		}
		after, err := privateKiB(b.Server.PID())
		if err != nil {
			return err
		}
		idle.SegmentKiB = float64(bytes) / float64(idle.Sessions) / 1024
		idle.ServerKiB = float64(after-before) / float64(idle.Sessions)
		if idle.EventNS, err = event(b); err != nil {
			return err
		}
		idle.IdleTicks, err = r.quiet(ctx, b)
		return err
	})
	s.Idle = idle
	return err
}

// attach attaches sessions that stay idle, and gives the bytes that they share.
func attach(socket string, sessions int) (bytes int, leave func() error, err error) {
	var open []*shm.Attachment
	leave = func() (err error) {
		for _, a := range open {
			err = errors.Join(err, a.Close())
		}
		return err
	}
	for i := range sessions {
		a, err := shm.Dial(socket, shm.Hello{Kind: shm.HelloAttach, App: wire.Version, Worker: uint32(100 + i)}, patience)
		if err != nil {
			return bytes, leave, fmt.Errorf("idle session: %w", err)
		}
		open = append(open, a)
		bytes += a.Segment.Size()
	}
	return bytes, leave, nil
}

// privateKiB is the memory of a process that it shares with nobody.
func privateKiB(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	return statusNumber(string(text), "RssAnon"), err
}

func (r *run) scaleSlow(ctx context.Context, s *Scale) error {
	routes := []interface{}{route("/", "slow", map[string]interface{}{"milliseconds": slowness})}
	return r.withBed(ctx, modeNamed("ring"), "slow", routes, func(b *testbed.Bed) error {
		for _, conns := range r.slowConns {
			r.step(r.requestCost(), "scale: %d slow handlers", conns)
			result, err := r.wrk(ctx, b.Host.URL()+target, conns)
			if err != nil {
				return fmt.Errorf("%d slow handlers: %w", conns, err)
			}
			possible := float64(conns) * float64(time.Second/time.Millisecond) / slowness
			s.Slow = append(s.Slow, Slow{conns, slowness, result.rps, possible})
		}
		return nil
	})
}
