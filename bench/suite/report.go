package suite

import (
	"slices"
	"time"

	"github.com/kongring/kongring/bench"
)

// Report is what a run found. The package comment lists the keys.
type Report struct {
	When time.Time `json:"when"`
	Plan
	Machine bench.Facts `json:"machine"`
	Strays  []string    `json:"strays,omitempty"`
	Took    float64     `json:"took_s"`
	Limits  Limits      `json:"limits"`
	Ring    *Ring       `json:"ring,omitempty"` // nil on one core
	Event   []Event     `json:"event"`
	HTTP    []HTTP      `json:"http"`
	Body    []Body      `json:"body"`
	Scale   *Scale      `json:"scale,omitempty"`
	Server  Server      `json:"server"`
	Targets []Target    `json:"targets"`
}

// Event is what one event costs.
type Event struct {
	Mode  string  `json:"mode"`
	Kind  string  `json:"kind"`
	N     int     `json:"n"`
	NS    float64 `json:"ns_per_event"`
	Least float64 `json:"ns_least"`
	Most  float64 `json:"ns_most"`
}

func newEvent(mode, kind string, n int, ns []float64) Event {
	return Event{mode, kind, n, median(ns), slices.Min(ns), slices.Max(ns)}
}

// HTTP is a cell of the table of whole requests. Ratios are medians of those
// within a round, 0 where there is nothing to compare with.
type HTTP struct {
	Mode  string `json:"mode"`
	N     int    `json:"n"`
	Conns int    `json:"conns"`
	Figures
	RPSToLua   float64   `json:"rps_to_lua"`
	P99ToLua   float64   `json:"p99_to_lua"`
	RPSToStock float64   `json:"rps_to_stock"`
	CPUToStock float64   `json:"cpu_to_stock"`
	ToRing     *ToRing   `json:"to_ring,omitempty"` // of the modes that only some runs have
	Least      Figures   `json:"least"`
	Most       Figures   `json:"most"`
	Samples    []Figures `json:"samples"`
}

// ToRing compares with mode ring: medians of the ratios within a round.
type ToRing struct {
	RPS float64 `json:"rps"`
	P99 float64 `json:"p99"`
	CPU float64 `json:"cpu"` // of both processes together
}

// Figures are those of one sample, or made of those of several.
type Figures struct {
	RPS            float64   `json:"rps"`
	P50            float64   `json:"p50_us"`
	P90            float64   `json:"p90_us"`
	P99            float64   `json:"p99_us"`
	NginxCPU       float64   `json:"nginx_cpu_us"`
	ServerCPU      float64   `json:"server_cpu_us"`
	NginxSwitches  float64   `json:"nginx_switches"`
	ServerSwitches float64   `json:"server_switches"`
	PerEvent       *Counters `json:"per_event,omitempty"`
}

// Counters are those of a session, for one event.
type Counters struct {
	RoundTrips      float64 `json:"round_trips"`
	PrefetchHits    float64 `json:"prefetch_hits"`
	ServerDoorbells float64 `json:"server_doorbells"`
	ServerSleeps    float64 `json:"server_sleeps"`
	WorkerDoorbells float64 `json:"worker_doorbells"`
	WorkerSleeps    float64 `json:"worker_sleeps"`
}

// Server is what the plugin server costs besides.
type Server struct {
	AllocsPerEvent float64  `json:"allocs_per_event"` // without calls
	Allocs         []Allocs `json:"allocs"`
	IdleTicks      int64    `json:"idle_ticks_per_10s"`
}

// fields gives all figures, those of the counters last.
func (f *Figures) fields() []*float64 {
	list := []*float64{&f.RPS, &f.P50, &f.P90, &f.P99, &f.NginxCPU, &f.ServerCPU, &f.NginxSwitches, &f.ServerSwitches}
	if c := f.PerEvent; c != nil {
		list = append(list, &c.RoundTrips, &c.PrefetchHits, &c.ServerDoorbells, &c.ServerSleeps, &c.WorkerDoorbells, &c.WorkerSleeps)
	}
	return list
}

// combine makes one set of figures of several, each figure by itself.
func combine(samples []Figures, with func([]float64) float64) (f Figures) {
	if samples[0].PerEvent != nil {
		f.PerEvent = &Counters{}
	}
	for i, field := range f.fields() {
		var values []float64
		for _, s := range samples {
			values = append(values, *s.fields()[i])
		}
		*field = with(values)
	}
	return f
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// summarize fills in what follows from the samples.
func (r *Report) summarize() {
	for i := range r.HTTP {
		row := &r.HTTP[i]
		row.Figures = combine(row.Samples, median)
		row.Least = combine(row.Samples, slices.Min[[]float64])
		row.Most = combine(row.Samples, slices.Max[[]float64])
		rps := func(f Figures) float64 { return f.RPS }
		cpu := func(f Figures) float64 { return f.NginxCPU + f.ServerCPU }
		p99 := func(f Figures) float64 { return f.P99 }
		if lua := r.row("lua", row.N, row.Conns); lua != nil {
			row.RPSToLua = row.ratio(lua, rps)
			row.P99ToLua = row.ratio(lua, p99)
		}
		if stock := r.row("stock", row.N, row.Conns); stock != nil {
			row.RPSToStock = row.ratio(stock, rps)
			row.CPUToStock = row.ratio(stock, cpu)
		}
		if ring := r.row("ring", row.N, row.Conns); ring != nil && modeNamed(row.Mode).extra {
			row.ToRing = &ToRing{row.ratio(ring, rps), row.ratio(ring, p99), row.ratio(ring, cpu)}
		}
	}
}

// row gives a cell, nil if it was not measured.
func (r *Report) row(mode string, n, conns int) *HTTP {
	for i, h := range r.HTTP {
		if h.Mode == mode && h.N == n && h.Conns == conns {
			return &r.HTTP[i]
		}
	}
	return nil
}

// ratio compares a figure with that of another cell.
func (h *HTTP) ratio(to *HTTP, figure func(Figures) float64) float64 {
	var over, under []float64
	for round, s := range h.Samples {
		over, under = append(over, figure(s)), append(under, figure(to.Samples[round]))
	}
	return medianRatio(over, under)
}

// medianRatio is the median of the ratios within a round; 0 if one is of nothing.
func medianRatio(over, under []float64) float64 {
	ratios := make([]float64, len(over))
	for i := range over {
		if under[i] == 0 {
			return 0
		}
		ratios[i] = over[i] / under[i]
	}
	return median(ratios)
}
