package suite

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kongring/kongring/bench"
	"github.com/kongring/kongring/luabridge/testbed"
)

// pingPong gives nanoseconds of a round trip between the first two cores in C;
// 0 where there is only one.
func (r *run) pingPong(ctx context.Context) (float64, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return 0, fmt.Errorf("sched_getaffinity: %w", err)
	}
	var cpus []string
	for cpu := 0; len(cpus) < min(2, set.Count()); cpu++ {
		if set.IsSet(cpu) {
			cpus = append(cpus, fmt.Sprint(cpu))
		}
	}
	if len(cpus) < 2 {
		return 0, nil
	}
	program, err := bench.BuildPingPong(r.dir)
	if err != nil {
		return 0, err
	}
	out, err := exec.CommandContext(ctx, program, append(cpus, "100000", "3")...).Output()
	if err != nil {
		return 0, fmt.Errorf("pingpong: %w", err)
	}
	var ns float64
	if _, err := fmt.Sscan(string(out), &ns); err != nil {
		return 0, fmt.Errorf("read a number from %q: %w", out, err)
	}
	return ns, nil
}

// Without traffic for quietFor, what is left of the last is over.
const (
	quietFor = time.Second
	idleFor  = 10 * time.Second
)

// idle gives the ticks that worker and server use in ten seconds after traffic.
func (r *run) idle(ctx context.Context, m mode) (used int64, err error) {
	routes := []interface{}{route("/", m.plugin, map[string]interface{}{"n": 10, "kind": r.Kind})}
	err = r.withBed(ctx, m, m.plugin, routes, func(b *testbed.Bed) error {
		if err := warm(ctx, b, true); err != nil {
			return err
		}
		for start := time.Now(); ; {
			if used, err = during(ctx, b, quietFor); err != nil {
				return err
			}
			if used == 0 {
				break
			}
			if time.Since(start) > 2*patience {
				return errors.New("idle: still busy long after the last request")
			}
		}
		used, err = during(ctx, b, idleFor)
		return err
	})
	return used, err
}

// during gives the ticks that are used in a span of time.
func during(ctx context.Context, b *testbed.Bed, span time.Duration) (int64, error) {
	before, err := look(b, false)
	if err != nil {
		return 0, err
	}
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-time.After(span):
	}
	after, err := look(b, false)
	return after.nginx + after.server - before.nginx - before.server, err
}
