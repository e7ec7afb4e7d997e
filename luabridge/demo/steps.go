package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"syscall"
	"time"

	"github.com/kongring/kongring/luabridge/testbed"
	"github.com/kongring/kongring/server"
)

// answer is what came back for a request.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// request sends one request to the host. headers are names and values in turn.
func request(ctx context.Context, s stage, path string, body []byte, headers ...string) (answer, error) {
	method := http.MethodGet
	if body != nil {
		method = http.MethodPost
	}
	r, err := http.NewRequestWithContext(ctx, method, s.gateway.URL()+path, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := s.Client.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, got}, err
}

// expect compares what came with what had to come.
func expect(what string, got, want interface{}) error {
	if fmt.Sprint(got) != fmt.Sprint(want) {
		return fmt.Errorf("%s: got %v, want %v", what, got, want)
	}
	return nil
}

func sayHello(ctx context.Context, s stage) error {
	a, err := request(ctx, s, "/hello/world", nil, "x-name", "Kong")
	if err != nil {
		return err
	}
	got := a.header.Get("x-hello-from-go")
	say("GET /hello/world with x-name: Kong → %d, x-hello-from-go: %s", a.status, got)
	return errors.Join(expect("status", a.status, 200),
		expect("x-hello-from-go", got, "hello from Go, Kong, at /hello/world"),
		expect("path at the upstream, less the route's", a.header.Get("x-upstream-path"), "/world"))
}

func openGate(ctx context.Context, s stage) error {
	a, err := request(ctx, s, "/gate", nil)
	if err != nil {
		return err
	}
	say("GET /gate without a key → %d, %s: %s", a.status, a.header.Get("content-type"), a.body)
	b, err := request(ctx, s, "/gate", nil, "x-api-key", key)
	if err != nil {
		return err
	}
	say("GET /gate with the key → %d, the upstream saw x-consumer: %s", b.status, b.header.Get("x-got-consumer"))
	return errors.Join(expect("status", a.status, 401),
		expect("content type", a.header.Get("content-type"), "application/json"),
		expect("body", string(a.body), `{"message":"no or unknown key in header x-api-key"}`),
		expect("status", b.status, 200),
		expect("consumer", b.header.Get("x-got-consumer"), "alice"),
		expect("key at the upstream", b.header.Get("x-got-api-key"), ""))
}

func sendBody(ctx context.Context, s stage) error {
	body := bytes.Repeat([]byte("kongring"), 1<<20/8)
	a, err := request(ctx, s, "/gate/body", body, "x-api-key", key)
	if err != nil {
		return err
	}
	say("POST /gate/body with 1 MiB → %d, %d bytes came back", a.status, len(a.body))
	if !bytes.Equal(a.body, body) {
		return fmt.Errorf("body of %d bytes came back as another of %d", len(body), len(a.body))
	}
	return expect("status", a.status, 200)
}

// parallel sends n requests for hello at once and gives the number of each
// status.
func parallel(ctx context.Context, s stage, n int) (map[int]int, error) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	var failed error
	statuses := map[int]int{}
	for i := range n {
		wg.Add(1)
		go func() {
			defer wg.Done()
			a, err := request(ctx, s, fmt.Sprintf("/hello/%d", i), nil)
			if err == nil && a.status == 200 {
				err = expect("x-hello-from-go", a.header.Get("x-hello-from-go"),
					fmt.Sprintf("hello from Go, stranger, at /hello/%d", i))
			}
			mu.Lock()
			failed = errors.Join(failed, err)
			statuses[a.status]++
			mu.Unlock()
		}()
	}
	wg.Wait()
	return statuses, failed
}

func sendMany(ctx context.Context, s stage) error {
	const n = 200
	start := time.Now()
	statuses, err := parallel(ctx, s, n)
	if err != nil {
		return err
	}
	say("%d requests in parallel → %v in %v", n, statuses, time.Since(start).Round(time.Millisecond))
	return expect("statuses", statuses, map[int]int{200: n})
}

// printTable sends requests one after the other, once the Lua code is compiled,
// and prints what each worker did for them.
func printTable(ctx context.Context, s stage) error {
	const warm, counted = 1000, 1000
	var before server.Stats
	for i := range warm + counted {
		if i == warm {
			var err error
			if before, err = s.Server.Stats(); err != nil {
				return err
			}
		}
		if a, err := request(ctx, s, "/hello", nil); err != nil || a.status != 200 {
			return errors.Join(err, expect("status", a.status, 200))
		}
	}
	stats, err := s.Server.Stats()
	if err != nil {
		return err
	}
	say("%d requests one after the other, with three PDK calls each:", counted)
	fmt.Printf("  %-7s %8s %7s %7s %16s %14s %14s %9s\n", "worker", "requests", "calls", "frames",
		"spins paid L/Go", "sleeps L/Go", "doorbells L/Go", "µs/event")
	for _, n := range stats.Sessions {
		var old server.SessionStats
		for _, o := range before.Sessions {
			if o.Session == n.Session {
				old = o
			}
		}
		l, lo, g, gof := n.Bridge, old.Bridge, n.Server, old.Server
		events := l.EventsDone - lo.EventsDone
		micros := (l.EventTicks - lo.EventTicks) / max(1, l.TicksPerUS) / max(1, events)
		fmt.Printf("  %-7d %8.0f %7.0f %7.0f %16s %14s %14s %9.1f\n", n.Worker, events, l.Calls-lo.Calls,
			l.FramesIn-lo.FramesIn+l.FramesOut-lo.FramesOut,
			fmt.Sprintf("%.0f/%d", l.SpinsPaid-lo.SpinsPaid, g.SpinsPaid-gof.SpinsPaid),
			fmt.Sprintf("%.0f/%d", l.Sleeps-lo.Sleeps, g.Sleeps-gof.Sleeps),
			fmt.Sprintf("%.0f/%d", l.Doorbells-lo.Doorbells, g.Doorbells-gof.Doorbells), micros)
	}
	return expect("sessions", len(stats.Sessions), workers)
}

// killServer shows that requests fail closed while the plugin server is gone,
// and that its return needs no help.
func killServer(ctx context.Context, s stage) error {
	s.Server.Kill()
	start := time.Now()
	a, err := request(ctx, s, "/hello", nil)
	if err != nil {
		return err
	}
	say("plugin server killed → %d after %v: %s", a.status, time.Since(start).Round(100*time.Microsecond), a.body)
	if err := expect("status", a.status, 503); err != nil {
		return err
	}
	if err := s.StartServer(ctx); err != nil {
		return err
	}
	start = time.Now()
	err = testbed.Eventually(ctx, time.Second, "requests succeed again", func() bool {
		statuses, err := parallel(ctx, s, 8)
		return err == nil && statuses[200] == 8
	})
	if err != nil {
		return err
	}
	say("plugin server started again → 200 on all workers after %v, the gateway untouched", time.Since(start).Round(time.Millisecond))
	return nil
}

// killWorker shows that the server frees what a dead worker held.
func killWorker(ctx context.Context, s stage) error {
	pids, err := s.gateway.Workers()
	if err != nil || len(pids) == 0 {
		return errors.Join(err, errors.New("no workers"))
	}
	dead := pids[0]
	if err := syscall.Kill(dead, syscall.SIGKILL); err != nil {
		return err
	}
	start := time.Now()
	var stats server.Stats
	attached := func() bool {
		stats, err = s.Server.Stats()
		for _, n := range stats.Sessions {
			if n.PID == dead {
				return false
			}
		}
		return err == nil
	}
	if err := testbed.Eventually(ctx, 5*time.Second, "the session of the dead worker is freed", attached); err != nil {
		return err
	}
	say("worker %d killed → its session freed after %v", dead, time.Since(start).Round(100*time.Microsecond))
	err = testbed.Eventually(ctx, 10*time.Second, "a new worker attaches", func() bool {
		return attached() && len(stats.Sessions) == workers
	})
	if err != nil {
		return err
	}
	statuses, err := parallel(ctx, s, 20)
	if err != nil {
		return err
	}
	say("the next worker attached; 20 requests → %v", statuses)
	return expect("statuses", statuses, map[int]int{200: 20})
}
