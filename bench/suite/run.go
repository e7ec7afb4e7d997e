package suite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
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
	lua      string // folder with the Lua modules of the benchmarks
	progress *Progress
}

// Builder makes what is measured, in a folder for temporary files: the plugin server
// of package served, the C helper, and where the bridge's modules are.
type Builder func(ctx context.Context, dir string) (testbed.Build, error)

// FromSource compiles it all. It runs anywhere in the work tree.
func FromSource(ctx context.Context, dir string) (testbed.Build, error) {
	return testbed.Compile(ctx, dir, "./bench/callserver")
}

// Run carries out a plan with what the source is compiled to, and says on progress
// how far it is.
func Run(ctx context.Context, plan Plan, progress io.Writer) (Report, error) {
	return RunBuild(ctx, plan, FromSource, NewProgress(progress))
}

// RunBuild is Run with what build makes.
func RunBuild(ctx context.Context, plan Plan, build Builder, progress *Progress) (report Report, err error) {
	report = Report{When: time.Now().UTC().Truncate(time.Second), Plan: plan, Machine: bench.Look(), Strays: strays()}
	r, err := prepare(ctx, plan, build, progress)
	if err != nil {
		return report, err
	}
	defer func() {
		if e := os.RemoveAll(r.dir); err == nil {
			err = e
		}
	}()
	progress.begin(plan.cost())
	defer progress.end()
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
	return report, nil
}

// prepare compiles what is measured. The caller removes the run's dir.
func prepare(ctx context.Context, plan Plan, build Builder, progress *Progress) (*run, error) {
	if _, err := exec.LookPath("wrk"); err != nil {
		return nil, fmt.Errorf("%w (Debian: apt-get install wrk)", err)
	}
	dir, err := os.MkdirTemp("", "kb")
	if err != nil {
		return nil, err
	}
	r := &run{Plan: plan, progress: progress, dir: dir, lua: filepath.Join(dir, "lua")}
	if r.build, err = build(ctx, dir); err == nil {
		err = os.CopyFS(r.lua, bench.Lua())
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return r, nil
}

func (r *run) say(format string, args ...interface{}) { r.progress.note(format, args...) }

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
			r.step(r.eventCost(), "events: round %d of %d, %s", round+1, r.Rounds, m.name)
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
			r.step(r.requestCost(), "requests: round %d of %d, %s, %d calls, %s", round+1, r.Rounds, row.Mode, row.N, plural(row.Conns, "connection"))
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
