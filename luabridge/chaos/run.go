package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"sync"
	"time"
)

// Options say how long and how hard a run is.
type Options struct {
	Length  time.Duration // rounds begin until then; there is one at least
	Seed    uint64        // of what is done when, and of what is sent
	Faults  []string      // to be done, by name; all of the table by default
	Pairs   int           // of faults that each round does at once; needs some on both sides
	Workers int           // of nginx; 2 by default
	Clients int           // at a time; 16 by default
	Pause   time.Duration // of a client between two requests
	Log     io.Writer     // for progress

	BuildFlags []string // of the plugin servers
	Bridge     string   // folder with another copy of the bridge, if any
}

// run is a run under way.
type run struct {
	options Options
	site    *site
	load    *load
	judge   *judge
	start   *remains
	atRest  []func() // to be done when the load rests
}

// Run does all faults in each round, in random order and at random moments, lets
// the load rest after each round, and gives what it measured. The error says what
// broke a rule; the report is of use then as well.
func Run(ctx context.Context, o Options) (report Report, err error) {
	if o.Workers == 0 {
		o.Workers = 2
	}
	if o.Clients == 0 {
		o.Clients = 16
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
	chosen, err := choose(o.Faults)
	if err != nil {
		return report, err
	}
	for _, on := range []side{aServer, aWorker} {
		if o.Pairs > 0 && !slices.ContainsFunc(chosen, func(f *fault) bool { return f.on == on }) {
			return report, errors.New("pairs of faults need one on a server and one on a worker")
		}
	}
	r := &run{options: o, judge: &judge{}}
	report = Report{Seed: o.Seed, Options: o}
	r.site, err = newSite(ctx, o)
	if err == nil {
		err = r.rounds(ctx, chosen, &report)
	}
	r.readLogs()
	// Not ctx: what was started is ended also after Ctrl-C.
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*patience)
	defer cancel()
	err = errors.Join(err, r.site.stop(end))
	report.take(r)
	if r.judge.wrong > 0 {
		err = errors.Join(err, fmt.Errorf("%d rules were broken", r.judge.wrong))
	}
	if err != nil && ctx.Err() == nil {
		return report, fmt.Errorf("%w; the logs are in %s", err, r.site.dir)
	}
	return report, errors.Join(err, os.RemoveAll(r.site.dir))
}

// choose gives the faults with the names, or all.
func choose(wanted []string) (chosen []*fault, err error) {
	for _, name := range wanted {
		if !slices.ContainsFunc(faults, func(f fault) bool { return f.name == name }) {
			return nil, fmt.Errorf("no fault is named %q", name)
		}
	}
	for i := range faults {
		if len(wanted) == 0 || slices.Contains(wanted, faults[i].name) {
			chosen = append(chosen, &faults[i])
		}
	}
	return chosen, nil
}

// gap bounds the time between two faults.
const gap = 400 * time.Millisecond

func (r *run) rounds(ctx context.Context, chosen []*fault, report *Report) error {
	r.load = &load{address: r.site.host.Addr(), judge: r.judge, pause: r.options.Pause}
	if err := r.allAttached(ctx); err != nil {
		return err
	}
	rng := rand.New(rand.NewPCG(r.options.Seed, 0))
	r.load.start(r.options.Clients, r.options.Seed)
	defer r.load.stop()
	// What the start is compared with has seen some load.
	pause(ctx, time.Second)
	if err := r.rest(ctx); err != nil {
		return err
	}
	r.load.rude.Store(true)
	for begun := time.Now(); ; {
		for _, i := range rng.Perm(len(chosen)) {
			pause(ctx, time.Duration(rng.Int64N(int64(gap))))
			e, err := r.play(ctx, chosen[i], rng, false)
			report.episodes = append(report.episodes, e)
			if err != nil {
				return err
			}
		}
		for range r.options.Pairs {
			pause(ctx, time.Duration(rng.Int64N(int64(gap))))
			if err := r.pair(ctx, chosen, rng, report); err != nil {
				return err
			}
		}
		if err := r.rest(ctx); err != nil {
			return err
		}
		report.Rounds++
		if ctx.Err() != nil || time.Since(begun) >= r.options.Length {
			return ctx.Err()
		}
	}
}

// pair does a fault to a server and one to a worker at the same time.
func (r *run) pair(ctx context.Context, chosen []*fault, rng *rand.Rand, report *Report) error {
	both := [2]*episode{}
	errs := [2]error{}
	var wg sync.WaitGroup
	for i, on := range []side{aServer, aWorker} {
		f := chosen[rng.IntN(len(chosen))]
		for f.on != on {
			f = chosen[rng.IntN(len(chosen))]
		}
		own := rand.New(rand.NewPCG(rng.Uint64(), 0))
		wg.Add(1)
		go func() {
			defer wg.Done()
			pause(ctx, time.Duration(own.Int64N(int64(gap))))
			both[i], errs[i] = r.play(ctx, f, own, true)
		}()
	}
	wg.Wait()
	report.episodes = append(report.episodes, both[:]...)
	return errors.Join(errs[:]...)
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// suspicious are lines that no log may have, whatever happens.
var suspicious = regexp.MustCompile(`.*(?:MIXED UP|DATA RACE|fatal error|\[alert\]|\[emerg\]|the bridge failed|session \d+ closed:|attempt to|ERROR session closed).*`)

// killedWorker is nginx's alert about a worker that a fault killed.
var killedWorker = regexp.MustCompile(`exited on signal 9$`)

// readLogs looks for such lines.
func (r *run) readLogs() {
	for _, name := range []string{"east.log", "west.log", "nginx/error.log"} {
		text, err := os.ReadFile(r.site.path(name))
		if err != nil {
			r.judge.violation("%v", err)
		}
		for _, line := range suspicious.FindAllString(string(text), -1) {
			if !killedWorker.MatchString(line) {
				r.judge.violation("%s: %s", name, line)
			}
		}
	}
}

func (r *run) say(format string, args ...interface{}) {
	fmt.Fprintf(r.options.Log, time.Now().Format(clock)+" "+format, args...)
}
