package suite

import (
	"context"
	"fmt"
	"strconv"

	"github.com/kongring/kongring/luabridge/testbed"
)

// Allocs is how many objects the plugin server allocates for one event with a
// number of calls. Strings that getters give to the plugin count too.
type Allocs struct {
	Kind     string  `json:"kind"`
	N        int     `json:"n"`
	PerEvent float64 `json:"per_event"`
}

// allocCells are what is looked at. The first is the event by itself.
var allocCells = []Allocs{{Kind: "header", N: 0}, {Kind: "header", N: 10}, {Kind: "setter", N: 10}, {Kind: "mix", N: 10}}

func (r *run) runAllocs(ctx context.Context, report *Report) error {
	r.step(r.allocCost(), "allocations")
	routes := []interface{}{route("/mallocs", "mallocs", nil)}
	path := func(c Allocs) string { return fmt.Sprintf("/%s-%d", c.Kind, c.N) }
	for _, c := range allocCells {
		routes = append(routes, r.loop(path(c), "calls", c.Kind, c.N))
	}
	err := r.withPlugins(ctx, modeNamed("ring"), []string{"calls-loop", "mallocs"}, routes, func(b *testbed.Bed) error {
		// The first request waits until the worker is attached.
		if _, err := mallocsOf(ctx, b); err != nil {
			return err
		}
		for _, c := range allocCells {
			// The first one learns.
			if _, err := allocations(ctx, b, path(c)); err != nil {
				return err
			}
			var err error
			if c.PerEvent, err = allocations(ctx, b, path(c)); err != nil {
				return err
			}
			report.Server.Allocs = append(report.Server.Allocs, c)
		}
		return nil
	})
	if err == nil {
		report.Server.AllocsPerEvent = report.Server.Allocs[0].PerEvent
	}
	return err
}

// allocations gives the objects for each event of a loop. Asking for the session
// allocates as well, so that is outside.
func allocations(ctx context.Context, b *testbed.Bed, path string) (float64, error) {
	before, err := session(b)
	if err != nil {
		return 0, err
	}
	from, err := mallocsOf(ctx, b)
	if err != nil {
		return 0, err
	}
	if _, err := get(ctx, b, path+"?q=1"); err != nil {
		return 0, err
	}
	to, err := mallocsOf(ctx, b)
	if err != nil {
		return 0, err
	}
	after, err := session(b)
	if err != nil {
		return 0, err
	}
	return float64(to-from) / float64(after.Server.Events-before.Server.Events), nil
}

func mallocsOf(ctx context.Context, b *testbed.Bed) (uint64, error) {
	text, err := get(ctx, b, "/mallocs")
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(text, 10, 64)
}
