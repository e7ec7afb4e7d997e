package suite

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/kongring/kongring/bench"
)

// Report is what a run found. The package comment lists the keys.
type Report struct {
	When time.Time `json:"when"`
	Plan
	Machine bench.Facts `json:"machine"`
	Strays  []string    `json:"strays,omitempty"`
	Limits  Limits      `json:"limits"`
	Event   []Event     `json:"event"`
	HTTP    []HTTP      `json:"http"`
	Server  Server      `json:"server"`
}

// Limits are what no software can beat.
type Limits struct {
	CRoundTrip float64 `json:"c_rtt_ns,omitempty"`
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

// HTTP is a cell of the table of whole requests.
type HTTP struct {
	Mode  string `json:"mode"`
	N     int    `json:"n"`
	Conns int    `json:"conns"`
	Figures
	RPSToLua float64   `json:"rps_to_lua"`
	P99ToLua float64   `json:"p99_to_lua"`
	Least    Figures   `json:"least"`
	Most     Figures   `json:"most"`
	Samples  []Figures `json:"samples"`
}

// Figures are those of one sample, or made of those of several.
type Figures struct {
	RPS       float64   `json:"rps"`
	P50       float64   `json:"p50_us"`
	P90       float64   `json:"p90_us"`
	P99       float64   `json:"p99_us"`
	NginxCPU  float64   `json:"nginx_cpu_us"`
	ServerCPU float64   `json:"server_cpu_us"`
	PerEvent  *Counters `json:"per_event,omitempty"`
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
	IdleTicks int64 `json:"idle_ticks_per_10s"`
}

// fields gives all figures, those of the counters last.
func (f *Figures) fields() []*float64 {
	list := []*float64{&f.RPS, &f.P50, &f.P90, &f.P99, &f.NginxCPU, &f.ServerCPU}
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
		lua := r.row(modes[0].name, row.N, row.Conns)
		var rps, p99 []float64
		for round, s := range row.Samples {
			rps = append(rps, s.RPS/lua.Samples[round].RPS)
			p99 = append(p99, s.P99/lua.Samples[round].P99)
		}
		row.RPSToLua, row.P99ToLua = median(rps), median(p99)
	}
}

func (r *Report) row(mode string, n, conns int) *HTTP {
	i := slices.IndexFunc(r.HTTP, func(h HTTP) bool { return h.Mode == mode && h.N == n && h.Conns == conns })
	return &r.HTTP[i]
}

// WriteText writes the report for people.
func (r *Report) WriteText(out io.Writer) error {
	f := r.Machine
	virtual := ""
	if f.Virtual {
		virtual = ", virtual"
	}
	fmt.Fprintf(out, "%s, rounds: %d, a sample: %d s, kind of calls: %s\nCPU     %s, %d cores%s\nkernel  %s\nGo      %s\nnginx   %s, one worker\nLuaJIT  %s\nload    %s (before)\n",
		r.When.Format(time.RFC3339), r.Rounds, r.Seconds, r.Kind, f.CPU, f.Cores, virtual, f.Kernel, f.Go, f.Nginx, f.LuaJIT, f.Load)
	if len(r.Strays) > 0 {
		fmt.Fprintf(out, "there were already: %v\n", r.Strays)
	}
	if r.Limits.CRoundTrip > 0 {
		fmt.Fprintf(out, "C       %.0f ns: round trip of a cache line between two cores\n", r.Limits.CRoundTrip)
	}
	fmt.Fprintf(out, "idle    %d ticks (1/100 s) of worker and server in 10 s without traffic\n\n", r.Server.IdleTicks)
	r.writeEvents(out)
	r.writeRequests(out)
	r.writeCounters(out)
	_, err := fmt.Fprintln(out, "Least and most are of the rounds. Compare by ratio, and within one run.")
	return err
}

func table(out io.Writer) *tabwriter.Writer {
	return tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
}

func (r *Report) writeEvents(out io.Writer) {
	w := table(out)
	fmt.Fprint(w, "One event\tkind\tcalls\tns\tleast\tmost\t÷ C\t\n")
	for _, e := range r.Event {
		ratio := "-"
		if r.Limits.CRoundTrip > 0 {
			ratio = fmt.Sprintf("%.1f", e.NS/r.Limits.CRoundTrip)
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%.0f\t%.0f\t%.0f\t%s\t\n", e.Mode, e.Kind, e.N, e.NS, e.Least, e.Most, ratio)
	}
	_ = w.Flush()
	fmt.Fprintln(out)
}

func (r *Report) writeRequests(out io.Writer) {
	w := table(out)
	fmt.Fprint(w, "Requests\tconns\tcalls\treq/s\tleast\tmost\t÷ lua\tp50 µs\tp90 µs\tp99 µs\t÷ lua\tCPU µs nginx\tserver\t\n")
	for _, h := range r.HTTP {
		fmt.Fprintf(w, "%s\t%d\t%d\t%.0f\t%.0f\t%.0f\t%.2f\t%.0f\t%.0f\t%.0f\t%.2f\t%.1f\t%.1f\t\n",
			h.Mode, h.Conns, h.N, h.RPS, h.Least.RPS, h.Most.RPS, h.RPSToLua, h.P50, h.P90, h.P99, h.P99ToLua, h.NginxCPU, h.ServerCPU)
	}
	_ = w.Flush()
	fmt.Fprintln(out)
}

func (r *Report) writeCounters(out io.Writer) {
	w := table(out)
	fmt.Fprint(w, "Per event\tconns\tcalls\tround trips\tvalues that came along\tserver: bells\tsleeps\tworker: bells\tsleeps\t\n")
	for _, h := range r.HTTP {
		if c := h.PerEvent; c != nil {
			fmt.Fprintf(w, "%s\t%d\t%d\t%.2f\t%.2f\t%.3f\t%.3f\t%.3f\t%.3f\t\n", h.Mode, h.Conns, h.N,
				c.RoundTrips, c.PrefetchHits, c.ServerDoorbells, c.ServerSleeps, c.WorkerDoorbells, c.WorkerSleeps)
		}
	}
	_ = w.Flush()
	fmt.Fprintln(out)
}
