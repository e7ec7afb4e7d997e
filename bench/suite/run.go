package suite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"time"

	"github.com/kongring/kongring/bench"
	"github.com/kongring/kongring/luabridge/testbed"
)

// run is one run of a plan.
type run struct {
	Plan
	dir      string
	build    testbed.Build
	progress io.Writer
}

// Run carries out a plan and says on progress how far it is.
func Run(ctx context.Context, plan Plan, progress io.Writer) (report Report, err error) {
	report = Report{When: time.Now().UTC().Truncate(time.Second), Plan: plan, Machine: bench.Look(), Strays: strays()}
	r, err := prepare(ctx, plan, progress)
	if err != nil {
		return report, err
	}
	defer func() {
		if e := os.RemoveAll(r.dir); err == nil {
			err = e
		}
	}()
	if len(report.Strays) > 0 {
		r.say("these run already and may disturb: %v\n", report.Strays)
	}
	r.say("load before: %s\n", report.Machine.Load)
	parts := []func(context.Context, *Report) error{
		r.runLimits, r.runRing, r.runEvents, r.runRequests, r.runBodies, r.runScale, r.runAllocs, r.runIdle,
	}
	if plan.Modes != nil {
		parts = []func(context.Context, *Report) error{r.runEvents, r.runRequests}
	}
	for _, part := range parts {
		if err := part(ctx, &report); err != nil {
			return report, err
		}
	}
	if plan.Modes == nil {
		report.Targets = report.compare()
	}
	report.Took = time.Since(report.When).Round(time.Second).Seconds()
	r.say("\r\033[K")
	return report, nil
}

// prepare compiles what is measured. The caller removes the run's dir.
func prepare(ctx context.Context, plan Plan, progress io.Writer) (*run, error) {
	if _, err := exec.LookPath("wrk"); err != nil {
		return nil, fmt.Errorf("%w (Debian: apt-get install wrk)", err)
	}
	dir, err := os.MkdirTemp("", "kb")
	if err != nil {
		return nil, err
	}
	build, err := testbed.Compile(ctx, dir, "./bench/callserver")
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return &run{Plan: plan, progress: progress, dir: dir, build: build}, nil
}

func (r *run) say(format string, args ...interface{}) { fmt.Fprintf(r.progress, format, args...) }

func (r *run) runEvents(ctx context.Context, report *Report) error {
	type cell struct {
		mode, kind string
		n          int
	}
	var cells []cell // in the order of the table
	samples := map[cell][]float64{}
	for round := range r.Rounds {
		for _, m := range r.modes() {
			if !m.event {
				continue
			}
			r.say("\r\033[Kevents: round %d of %d, %s", round+1, r.Rounds, m.name)
			err := r.events(ctx, m, func(kind string, n int, ns float64) {
				c := cell{m.name, kind, n}
				if round == 0 {
					cells = append(cells, c)
				}
				samples[c] = append(samples[c], ns)
			})
			if err != nil {
				return fmt.Errorf("mode %s: %w", m.name, err)
			}
		}
	}
	for _, c := range cells {
		report.Event = append(report.Event, newEvent(c.mode, c.kind, c.n, samples[c]))
	}
	return nil
}

func (r *run) runRequests(ctx context.Context, report *Report) error {
	for _, conns := range r.conns {
		for _, n := range r.calls {
			for _, m := range r.modes() {
				if m.http {
					report.HTTP = append(report.HTTP, HTTP{Mode: m.name, N: n, Conns: conns})
				}
			}
		}
	}
	for round := range r.Rounds {
		for i := range report.HTTP {
			row := &report.HTTP[i]
			r.say("\r\033[Krequests: round %d of %d, %d of %d", round+1, r.Rounds, i+1, len(report.HTTP))
			f, err := r.requests(ctx, modeNamed(row.Mode), row.N, row.Conns)
			if err != nil {
				return fmt.Errorf("mode %s, %d calls, %d connections: %w", row.Mode, row.N, row.Conns, err)
			}
			row.Samples = append(row.Samples, f)
		}
	}
	report.summarize()
	return nil
}

func modeNamed(name string) mode {
	for _, m := range slices.Concat(modes, extras) {
		if m.name == name {
			return m
		}
	}
	return mode{name: name, label: name}
}
