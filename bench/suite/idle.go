package suite

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/kongring/kongring/luabridge/testbed"
)

// Without traffic for quietFor, what is left of the last is over.
const quietFor = time.Second

func (r *run) runIdle(ctx context.Context, report *Report) (err error) {
	r.step(r.idleCost(), "idle")
	report.Server.IdleTicks, err = r.idle(ctx, modeNamed("ring"))
	return err
}

// idle gives the ticks that worker and server use in ten seconds after traffic.
func (r *run) idle(ctx context.Context, m mode) (used int64, err error) {
	routes := []interface{}{route("/", m.plugin, map[string]interface{}{"n": 10, "kind": r.Kind})}
	err = r.withBed(ctx, m, m.plugin, routes, func(b *testbed.Bed) error {
		if err := r.warm(ctx, b, true); err != nil {
			return err
		}
		used, err = r.quiet(ctx, b)
		return err
	})
	return used, err
}

// quiet waits until both processes are, and gives the ticks that they use in ten
// seconds from then on.
func (r *run) quiet(ctx context.Context, b *testbed.Bed) (int64, error) {
	for start := time.Now(); ; {
		used, err := during(ctx, b, quietFor)
		if err != nil {
			return 0, err
		}
		if used == 0 {
			break
		}
		if time.Since(start) > 2*patience {
			return 0, errors.New("idle: still busy long after the last request")
		}
	}
	used, err := during(ctx, b, r.idleFor)
	return int64(math.Ceil(float64(used) * float64(10*time.Second) / float64(r.idleFor))), err
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
	return after.nginx.ticks + after.server.ticks - before.nginx.ticks - before.server.ticks, err
}
