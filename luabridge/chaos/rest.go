package chaos

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kongring/kongring/luabridge/testbed"
	"github.com/kongring/kongring/server"
)

// remains is what is there while nothing is under way: it has to be the same
// before and after.
type remains struct {
	servers, workers map[string]int // descriptors, by kind, of the one that has most of it
	goroutines       int            // of the server that has most
	master           map[string]int
	files            []string // in the folder, but for those that nginx keeps below its own
}

// allAttached waits until there are as many workers as there should be, and each
// of them has a session with each server.
func (r *run) allAttached(ctx context.Context) error {
	last := ""
	err := testbed.Eventually(ctx, patience, "every worker is attached to both servers", func() bool {
		workers := r.site.workers()
		last = fmt.Sprintf("workers %v", workers)
		if len(workers) != r.options.Workers {
			return false
		}
		for _, name := range names {
			stats, err := server.Inspect(r.site.socket(name), time.Second)
			if err != nil {
				last = err.Error()
				return false
			}
			for _, worker := range workers {
				// One that the worker gave up before it was welcome has no word of it.
				used := func(s server.SessionStats) bool { return s.PID == worker && s.Bridge.TicksPerUS > 0 }
				if !slices.ContainsFunc(stats.Sessions, used) {
					last = fmt.Sprintf("worker %d has no session with %s", worker, name)
					return false
				}
			}
		}
		return true
	})
	if err != nil {
		return fmt.Errorf("%w: %s", err, last)
	}
	return nil
}

// rest has the load rest, waits until nothing is under way any more, and compares
// what is there with what was there at the start.
func (r *run) rest(ctx context.Context) error {
	r.load.gate.Lock()
	defer r.load.gate.Unlock()
	for _, f := range r.atRest {
		f()
	}
	r.atRest = nil
	last := ""
	err := testbed.Eventually(ctx, patience, "nothing is under way at rest", func() bool {
		last = r.underWay()
		return last == ""
	})
	if err != nil {
		return fmt.Errorf("%w: %s", err, last)
	}
	var now remains
	err = testbed.Eventually(ctx, patience, "at rest all is as at the start", func() bool {
		if now, err = r.look(); err != nil {
			last = err.Error()
			return false
		}
		if r.start == nil {
			r.start = &now
		}
		last = now.more(r.start)
		return last == ""
	})
	if err != nil {
		return fmt.Errorf("%w: %s", err, last)
	}
	r.say("at rest: %s\n", now)
	return nil
}

// underWay says what is not over, or does not add up, "" where all is well.
func (r *run) underWay() string {
	workers := r.site.workers()
	if len(workers) != r.options.Workers {
		return fmt.Sprintf("%d workers instead of %d", len(workers), r.options.Workers)
	}
	if n, err := children(r.site.host.MasterPID()); err != nil || n != r.options.Workers {
		return fmt.Sprintf("nginx has %d children instead of %d: %v", n, r.options.Workers, err)
	}
	shared := map[int]int{} // segments, by process
	for _, name := range names {
		stats, err := r.site.server(name).Stats()
		if err != nil {
			return err.Error()
		}
		if stats.SessionsFailed != 0 {
			r.judge.violation("%s: %d sessions failed: %s", name, stats.SessionsFailed, r.site.server(name).Log())
		}
		if len(stats.Sessions) != len(workers) {
			return fmt.Sprintf("%s: %d sessions instead of %d", name, len(stats.Sessions), len(workers))
		}
		for _, s := range stats.Sessions {
			if s.Carrier == "ring" {
				shared[s.PID]++
				shared[stats.PID]++
			}
			// An event that found no room to be sent was never the server's.
			if s.UnderWay != 0 || s.Server.Events != s.Server.EventsDone || s.Bridge.Open != 0 ||
				s.Bridge.Events != s.Bridge.EventsDone || float64(s.Server.Events) > s.Bridge.Events {
				return fmt.Sprintf("%s: %+v", name, s)
			}
		}
		if !slices.Contains(workers, stats.Sessions[0].PID) {
			return fmt.Sprintf("%s: session of process %d, which is no worker", name, stats.Sessions[0].PID)
		}
		shared[stats.PID] += 0
	}
	for pid, want := range shared {
		if got, err := segments(pid); err != nil || got != want {
			return fmt.Sprintf("process %d maps %d segments, its sessions have %d: %v", pid, got, want, err)
		}
	}
	return ""
}

// look counts what is there.
func (r *run) look() (now remains, err error) {
	now = remains{servers: map[string]int{}, workers: map[string]int{}}
	for _, name := range names {
		if err = most(now.servers, r.site.server(name).PID()); err != nil {
			return now, err
		}
		q := r.load.request()
		q.do[name] = "goroutines"
		a := send(r.site.host.Addr(), q)
		n, err := strconv.Atoi(string(a.body))
		if err != nil {
			return now, fmt.Errorf("goroutines: %w: %s", err, &a)
		}
		now.goroutines = max(now.goroutines, n)
	}
	for _, worker := range r.site.workers() {
		if err = most(now.workers, worker); err != nil {
			return now, err
		}
	}
	if now.master, err = descriptors(r.site.host.MasterPID()); err != nil {
		return now, err
	}
	entries, err := os.ReadDir(r.site.dir)
	for _, entry := range entries {
		now.files = append(now.files, entry.Name())
	}
	return now, err
}

func most(counts map[string]int, pid int) error {
	more, err := descriptors(pid)
	for kind, n := range more {
		counts[kind] = max(counts[kind], n)
	}
	return err
}

// more says what there is more of than there was, "" for nothing.
func (now remains) more(start *remains) string {
	var all []string
	for what, pair := range map[string][2]map[string]int{
		"server": {start.servers, now.servers}, "worker": {start.workers, now.workers}, "master": {start.master, now.master},
		"server's": {{"goroutines": start.goroutines}, {"goroutines": now.goroutines}},
	} {
		for _, kind := range slices.Sorted(maps.Keys(pair[1])) {
			if was, is := pair[0][kind], pair[1][kind]; is > was {
				all = append(all, fmt.Sprintf("%s: %s: %d, at the start %d", what, kind, is, was))
			}
		}
	}
	for _, file := range now.files {
		if !slices.Contains(start.files, file) {
			all = append(all, "file "+file)
		}
	}
	return strings.Join(all, "; ")
}

func (now remains) String() string {
	return fmt.Sprintf("server %v, %d goroutines; worker %v; master %v; %v", now.servers, now.goroutines, now.workers, now.master, now.files)
}
