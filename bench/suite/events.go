package suite

import (
	"context"
	"fmt"
	"strconv"

	"github.com/kongring/kongring/luabridge/testbed"
)

// events measures all kinds and numbers of calls of a mode once, and calls give
// with each.
func (r *run) events(ctx context.Context, m mode, give func(kind string, n int, ns float64)) error {
	path := func(kind string, n int) string { return fmt.Sprintf("/%s-%d", kind, n) }
	var routes []interface{}
	for _, kind := range kinds {
		for _, n := range r.eventCalls {
			routes = append(routes, r.loop(path(kind, n), m.plugin, kind, n))
		}
	}
	return r.withBed(ctx, m, "calls-loop", routes, func(b *testbed.Bed) error {
		for _, kind := range kinds {
			for _, n := range r.eventCalls {
				body, err := get(ctx, b, path(kind, n)+"?q=1")
				if err != nil {
					return fmt.Errorf("events of %d calls (%s): %w", n, kind, err)
				}
				ns, err := strconv.ParseFloat(body, 64)
				if err != nil {
					return fmt.Errorf("events of %d calls (%s): %w", n, kind, err)
				}
				give(kind, n, ns)
			}
		}
		return nil
	})
}
