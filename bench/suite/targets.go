package suite

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// Target is a figure that the project wants to reach. Unit is that of target
// and measure, "C" for round trips of a cache line.
type Target struct {
	Name     string   `json:"name"`
	AtLeast  bool     `json:"at_least"` // else at most
	Target   float64  `json:"target"`
	Unit     string   `json:"unit,omitempty"`
	Measured *float64 `json:"measured"`       // nil if it was not
	Note     string   `json:"note,omitempty"` // where the worst of several was
}

// Met tells whether the target was reached.
func (t Target) Met() bool {
	return t.Measured != nil && (t.AtLeast && *t.Measured >= t.Target || !t.AtLeast && *t.Measured <= t.Target)
}

// Numbers of calls that a target is about, and between which a call more is
// counted.
const (
	fewCalls  = 10
	manyCalls = 50
)

// compare gives the report beside what the project wants.
func (r *Report) compare() []Target {
	inC := func(name string, target, ns float64) Target {
		return atMost(name, target, ns/r.Limits.CRoundTrip).in("C")
	}
	missing := math.NaN()
	ring := Ring{GoGoToC: missing, LuaGoToC: missing, StreamToC: missing}
	if r.Ring != nil {
		ring = *r.Ring
		if ring.LuaGo == 0 {
			ring.LuaGoToC = missing
		}
	}
	list := []Target{
		atMost("ring, Go and Go, round trip", 1.5, ring.GoGoToC).in("C"),
		atMost("ring, Go and LuaJIT, round trip", 2, ring.LuaGoToC).in("C"),
		atMost("ring, Go to Go, one frame of a stream", 1.0/6, ring.StreamToC).in("C"),
		inC("event without PDK calls, over the empty handler in Lua", 4, r.event("ring", "header", 0)-r.event("lua", "header", 0)),
		inC("one call more that is a round trip, over Lua", 2.5, r.slope("ring-sync", "header")-r.slope("lua", "header")),
		inC("one getter more whose value came along or is known", 0.3, r.slope("ring", "header")),
		inC("one setter more, over Lua", 1, r.slope("ring", "setter")-r.slope("lua", "setter")),
	}
	rps := func(h *HTTP) float64 { return h.RPSToLua }
	p99 := func(h *HTTP) float64 { return h.P99ToLua }
	least, where := r.worst(16, rps, func(a, b float64) bool { return a < b })
	list = append(list, atLeast("req/s ÷ Lua, 16 connections, the worst N", 0.8, least).at(where))
	list = append(list, atLeast("req/s ÷ Lua, 16 connections, N = 50", 1, r.cell(manyCalls, 16, rps)))
	for _, conns := range []int{1, 16} {
		most, where := r.worst(conns, p99, func(a, b float64) bool { return a > b })
		list = append(list, atMost("p99 ÷ Lua, "+plural(conns, "connection")+", the worst N", 1.5, most).at(where))
	}
	toStock := func(h *HTTP) float64 { return h.RPSToStock }
	list = append(list,
		atLeast("req/s ÷ stock, 16 connections, N = 10", 8, r.cell(fewCalls, 16, toStock)),
		atMost("CPU per request ÷ stock, 16 connections, N = 10", 0.2, r.cell(fewCalls, 16, func(h *HTTP) float64 { return h.CPUToStock })),
	)
	allocs, idle := missing, missing
	if len(r.Server.Allocs) > 0 {
		// A goroutine of the runtime may allocate now and then.
		allocs, idle = math.Round(r.Server.AllocsPerEvent*100)/100, float64(r.Server.IdleTicks)
	}
	body := missing
	for _, b := range r.Body {
		if b.Mode == "ring" && b.Bytes == 1<<20 && b.Memcpy > 0 {
			body = b.ToMemcpy
		}
	}
	return append(list,
		atMost("heap allocations of the server for an event", 0, allocs),
		atMost("idle, hundredths of a second of CPU in 10 s", 0, idle),
		atLeast("body of 1 MiB to the plugin and back, speed ÷ memcpy", 0.5, body),
	)
}

func atMost(name string, target, measured float64) Target {
	t := Target{Name: name, Target: target}
	if !math.IsNaN(measured) && !math.IsInf(measured, 0) {
		t.Measured = &measured
	}
	return t
}

func atLeast(name string, target, measured float64) Target {
	t := atMost(name, target, measured)
	t.AtLeast = true
	return t
}

func (t Target) in(unit string) Target { t.Unit = unit; return t }

func (t Target) at(note string) Target { t.Note = note; return t }

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

// event gives nanoseconds of an event, NaN if it was not measured.
func (r *Report) event(mode, kind string, n int) float64 {
	for _, e := range r.Event {
		if e.Mode == mode && e.Kind == kind && e.N == n {
			return e.NS
		}
	}
	return math.NaN()
}

// slope gives nanoseconds that one call more takes.
func (r *Report) slope(mode, kind string) float64 {
	return (r.event(mode, kind, manyCalls) - r.event(mode, kind, fewCalls)) / (manyCalls - fewCalls)
}

// cell gives a figure of mode ring, NaN if it was not measured.
func (r *Report) cell(n, conns int, figure func(*HTTP) float64) float64 {
	h := r.row("ring", n, conns)
	if h == nil || figure(h) == 0 {
		return math.NaN()
	}
	return figure(h)
}

// worst gives the worst figure of mode ring over all numbers of calls, and where
// that was.
func (r *Report) worst(conns int, figure func(*HTTP) float64, worse func(a, b float64) bool) (worst float64, where string) {
	worst = math.NaN()
	for i := range r.HTTP {
		h := &r.HTTP[i]
		if h.Mode != "ring" || h.Conns != conns || figure(h) == 0 {
			continue
		}
		if f := figure(h); math.IsNaN(worst) || worse(f, worst) {
			worst, where = f, fmt.Sprintf("N = %d", h.N)
		}
	}
	return worst, where
}

// WriteTargets writes the targets beside what was measured, as a table in
// Markdown.
func (r *Report) WriteTargets(out io.Writer) {
	var b strings.Builder
	b.WriteString("| figure | target | measured | |\n|---|---|---|---|\n")
	for _, t := range r.Targets {
		sign, measured, mark := "≤", "not measured", ""
		if t.AtLeast {
			sign = "≥"
		}
		if t.Measured != nil {
			measured, mark = t.with(*t.Measured), "missed"
		}
		if t.Note != "" {
			measured += " (" + t.Note + ")"
		}
		if t.Met() {
			mark = "met"
		}
		fmt.Fprintf(&b, "| %s | %s %s | %s | %s |\n", t.Name, sign, t.with(t.Target), measured, mark)
	}
	fmt.Fprintln(out, b.String())
}

// with writes a value with the unit.
func (t Target) with(value float64) string {
	text := strconv.FormatFloat(math.Round(value*100)/100, 'f', -1, 64)
	return strings.TrimSpace(text + " " + t.Unit)
}
