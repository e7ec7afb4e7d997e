package metrics

import (
	"runtime"
	"slices"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kongring/kongring/server/wire"
)

// Plugin is what the metrics know of a plugin.
type Plugin struct {
	Name, Version string
	Phases        []string // those with a handler, as Kong names them
}

// Collector gives Prometheus what a snapshot says. It implements
// prometheus.Collector; its methods may be called by any goroutine if snapshot
// may.
type Collector struct {
	plugins  []Plugin
	version  string
	snapshot func() Snapshot
}

// NewCollector makes a collector for a server with the given plugins. version is
// kongring's; snapshot is called once in a scrape.
func NewCollector(plugins []Plugin, version string, snapshot func() Snapshot) *Collector {
	return &Collector{plugins, version, snapshot}
}

// Describe implements prometheus.Collector.
func (c *Collector) Describe(out chan<- *prometheus.Desc) {
	for _, f := range families {
		out <- f.desc
	}
}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(out chan<- prometheus.Metric) {
	s := sink(out)
	shot := c.snapshot()
	for _, p := range c.plugins {
		s.put(pluginInfo, 1, p.Name, p.Version)
		for _, phase := range p.Phases {
			cell := shot.Events.Cell(p.Name, phase)
			s.cell(&cell, p.Name, phase)
		}
	}
	for _, kind := range ofNothing {
		s.count(eventErrors, shot.Nowhere.Failed[kind], "", "", kind.String())
	}
	s.methods(&shot.Methods)
	s.sessions(&shot)
	s.server(&shot)
	for _, w := range shot.Workers {
		s.worker(w)
	}
	s.put(build, 1, c.version, runtime.Version())
}

// sink is where the metrics of a scrape go.
type sink chan<- prometheus.Metric

func (s sink) put(f *family, value float64, labels ...string) {
	s <- prometheus.MustNewConstMetric(f.desc, f.kind, value, labels...)
}

func (s sink) count(f *family, value uint64, labels ...string) { s.put(f, float64(value), labels...) }

// ofNothing are the failures that are counted of no plugin.
var ofNothing = []Failure{NoInstance, NoPhase, Shutdown}

// cell puts what is counted of a plugin in a phase. What it can have is there from
// the start, so that the first failure is an increase.
func (s sink) cell(c *Cell, plugin, phase string) {
	s.count(events, c.Events, plugin, phase)
	s.count(wasted, c.Wasted, plugin, phase)
	for how, n := range c.Calls {
		s.count(pdkCalls, n, plugin, phase, answerNames[how])
	}
	for kind, n := range c.Failed {
		if !slices.Contains(ofNothing, Failure(kind)) {
			s.count(eventErrors, n, plugin, phase, failureNames[kind])
		}
	}
	below, n := map[float64]uint64{}, uint64(0)
	for b, times := range c.Latency.Counts {
		n += times
		if b%perPower == 0 && b < Buckets-1 { // whole powers of two; the last one is all of them
			below[float64(bound(b))/1e9] = n
		}
	}
	s <- prometheus.MustNewConstHistogram(duration.desc, n, float64(c.Latency.Nanos)/1e9, below, plugin, phase)
}

// methods puts the calls of each method that was called.
func (s sink) methods(m *Methods) {
	for id := range m {
		name := "flush"
		if id != 0 {
			name = wire.MethodID(id).String()
		}
		for how, n := range m[id] {
			if n > 0 {
				s.count(methodCalls, n, name, answerNames[how])
			}
		}
	}
}

// sessions puts what all sessions have counted.
func (s sink) sessions(shot *Snapshot) {
	here, there := &shot.Server, &shot.Worker
	for _, row := range []struct {
		f      *family
		server uint64
		worker float64
	}{
		{begun, here.Events, there.Events}, {ended, here.EventsDone, there.EventsDone},
		{sleeps, here.Sleeps, there.Sleeps}, {doorbells, here.Doorbells, there.Doorbells},
		{fullWaits, here.FullWaits, there.FullWaits}, {lateFrames, here.LateFrames, there.LateFrames},
	} {
		s.count(row.f, row.server, "server")
		s.put(row.f, row.worker, "worker")
	}
	// By the server's word alone: it counts what it writes and what it reads.
	s.count(frames, here.FramesOut, "server")
	s.count(frames, here.FramesIn, "worker")
	s.count(frameBytes, here.BytesOut, "server")
	s.count(frameBytes, here.BytesIn, "worker")
	s.count(spins, here.SpinsPaid, "server", "paid")
	s.count(spins, here.SpinsUnpaid, "server", "unpaid")
	s.put(spins, there.SpinsPaid, "worker", "paid")
	s.put(spins, there.SpinsUnpaid, "worker", "unpaid")
	s.count(handovers, here.Handovers)
	s.count(profiles, here.Profiles)
	s.count(started, here.Instances)
	s.count(startFailures, here.StartsFailed)
	s.put(workerErrors, there.Errors)
	s.put(workerDeadlines, there.Deadlines)
	s.put(workerCalls, there.Calls)
	s.put(workerSeconds, shot.WorkerSeconds)
}

// server puts what belongs to no session.
func (s sink) server(shot *Snapshot) {
	s.count(sessions, shot.Rings.Attached, "ring")
	s.count(sessions, shot.Sockets.Attached, "socket")
	s.count(sessionsBegun, shot.Rings.Begun, "ring")
	s.count(sessionsBegun, shot.Sockets.Begun, "socket")
	s.count(sessionsLost, shot.Damaged, "damage")
	s.count(sessionsLost, shot.Failed-shot.Damaged, "error")
	s.count(reattachments, shot.SameProcess, "same")
	s.count(reattachments, shot.NewProcess, "new")
	s.count(refused, shot.Denied, "denied")
	s.count(refused, shot.Crowded, "crowd")
	s.count(refused, shot.Refused-shot.Denied-shot.Crowded, "other")
	s.put(stock, float64(shot.Stock))
	s.put(underWay, float64(shot.UnderWay))
	s.put(instances, float64(shot.Instances))
	stops := 0.0
	if shot.Stopping {
		stops = 1
	}
	s.put(stopping, stops)
}

// worker puts what a worker has now.
func (s sink) worker(w Worker) {
	number := strconv.FormatUint(uint64(w.Number), 10)
	s.put(slots, w.Slots, number)
	if w.Shared {
		s.count(ringUsed, w.ToServer, number, "to_server")
		s.count(ringUsed, w.ToWorker, number, "to_worker")
		s.count(ringCapacity, w.Capacity, number)
	}
}
