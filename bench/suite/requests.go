package suite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/kongring/kongring/luabridge/testbed"
	"github.com/kongring/kongring/server"
)

// headers are those of each request, besides the client's own.
var headers = []string{"x-a", "x-b", "x-c", "x-d", "x-e", "x-f", "x-g", "x-h"}

const value = "a-value"

// target is what is asked for; the getters of calls want an argument q.
const target = "/?q=1"

// patience is how long warming up may take.
const patience = 5 * time.Second

func readAnswer(answer *http.Response) (string, error) {
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d: %s", answer.StatusCode, body)
	}
	return string(body), err
}

// warm sends requests from several connections until all that learns has
// learned, and leaves no connection open.
func (r *run) warm(ctx context.Context, b *testbed.Bed, learns bool) error {
	defer b.Client.CloseIdleConnections()
	for start := time.Now(); ; {
		if err := flood(ctx, b, start.Add(r.warmUp)); err != nil {
			return fmt.Errorf("warm up: %w", err)
		}
		if !learns {
			return nil
		}
		s, err := session(b)
		if err != nil {
			return err
		}
		if s.Server.Profiles > 0 {
			return nil
		}
		if time.Since(start) > patience {
			return errors.New("warm up: the server does not learn what is asked for")
		}
	}
}

// flood sends requests until a moment, ten per connection at least.
func flood(ctx context.Context, b *testbed.Bed, until time.Time) error {
	const connections = 8
	var wg sync.WaitGroup
	var errs [connections]error
	for c := range connections {
		wg.Go(func() {
			for i := 0; errs[c] == nil && (i < 10 || time.Now().Before(until)); i++ {
				_, errs[c] = get(ctx, b, target)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs[:]...)
}

// session gives the figures of the one session that there is.
func session(b *testbed.Bed) (server.SessionStats, error) {
	stats, err := b.Server.Stats()
	if err == nil && len(stats.Sessions) != 1 {
		err = fmt.Errorf("%d sessions instead of one", len(stats.Sessions))
	}
	if err != nil {
		return server.SessionStats{}, err
	}
	return stats.Sessions[0], nil
}

// requests takes one sample of whole requests.
func (r *run) requests(ctx context.Context, m mode, n, conns int) (f Figures, err error) {
	config := map[string]interface{}{"n": n, "kind": r.Kind}
	routes := []interface{}{route("/", m.plugin, config)}
	err = r.withBed(ctx, m, m.plugin, routes, func(b *testbed.Bed) error {
		if err := r.warm(ctx, b, m.rings && n > 0); err != nil {
			return err
		}
		f, err = r.measure(ctx, b, m.rings, conns)
		return err
	})
	return f, err
}

// usage is what was used up to now.
type usage struct {
	nginx, server process
	session       server.SessionStats
}

// look reads what the kernel counts; and, on the far side of them, the counters, since asking
// the server costs it something.
func look(b *testbed.Bed, counters bool) (u usage, err error) {
	workers, err := b.Host.Workers()
	if err != nil {
		return u, err
	}
	if len(workers) != 1 {
		return u, fmt.Errorf("%d workers instead of one", len(workers))
	}
	if counters {
		if u.session, err = session(b); err != nil {
			return u, err
		}
	}
	if b.Server != nil {
		if u.server, err = lookAt(b.Server.PID()); err != nil {
			return u, err
		}
	}
	u.nginx, err = lookAt(workers[0])
	return u, err
}

func (r *run) measure(ctx context.Context, b *testbed.Bed, rings bool, conns int) (f Figures, err error) {
	before, err := look(b, rings)
	if err != nil {
		return f, err
	}
	result, err := r.wrk(ctx, b.Host.URL()+target, conns)
	if err != nil {
		return f, err
	}
	after, err := look(b, false)
	if err != nil {
		return f, err
	}
	nginx, server := after.nginx.since(before.nginx), after.server.since(before.server)
	perRequest := func(n int64) float64 { return float64(n) / result.requests }
	f = Figures{
		RPS: result.rps, P50: result.p50, P90: result.p90, P99: result.p99,
		NginxCPU: perRequest(nginx.ticks * usPerTick), ServerCPU: perRequest(server.ticks * usPerTick),
		NginxSwitches: perRequest(nginx.switches), ServerSwitches: perRequest(server.switches),
	}
	if rings {
		now, err := session(b)
		if err != nil {
			return f, err
		}
		f.PerEvent = perEvent(before.session, now)
	}
	return f, nil
}

func perEvent(from, to server.SessionStats) *Counters {
	events := float64(to.Server.Events - from.Server.Events)
	server := func(from, to uint64) float64 { return float64(to-from) / events }
	return &Counters{
		RoundTrips:      server(from.Server.RoundTrips, to.Server.RoundTrips),
		PrefetchHits:    server(from.Server.PrefetchHits, to.Server.PrefetchHits),
		ServerDoorbells: server(from.Server.Doorbells, to.Server.Doorbells),
		ServerSleeps:    server(from.Server.Sleeps, to.Server.Sleeps),
		WorkerDoorbells: (to.Bridge.Doorbells - from.Bridge.Doorbells) / events,
		WorkerSleeps:    (to.Bridge.Sleeps - from.Bridge.Sleeps) / events,
	}
}
