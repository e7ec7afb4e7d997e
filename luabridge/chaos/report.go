package chaos

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Report is what a run measured.
type Report struct {
	Seed     uint64
	Options  Options
	Rounds   int
	Rows     []Row // of the faults that were done, in the table's order
	Answers  map[string]int
	Vanished int      // clients that left before their answer
	Broken   int      // rules, so many times
	Examples []string // of them

	episodes []*episode
}

// Row is what was measured of one fault.
type Row struct {
	Fault    string
	Allows   string
	Times    int
	Answers  map[string]int  // of other kinds than what was asked for
	First    []time.Duration // to the first answer that shows that all is well
	Attached []time.Duration // until every worker was attached to both servers
	InFlight []time.Duration // from the server's death to the answers of its events
}

func (r *Report) add(e *episode) {
	name, allows := e.fault.name, e.fault.allows.String()
	if e.paired {
		name, allows = "two at once", "what each allows"
	}
	i := slices.IndexFunc(r.Rows, func(row Row) bool { return row.Fault == name })
	if i < 0 {
		i = len(r.Rows)
		r.Rows = append(r.Rows, Row{Fault: name, Allows: allows, Answers: map[string]int{}})
	}
	row := &r.Rows[i]
	row.Times++
	for kind, n := range e.seen {
		row.Answers[kind.String()] += n
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.paired {
		return
	}
	if e.first > 0 {
		row.First = append(row.First, e.first)
	}
	if e.attached > 0 {
		row.Attached = append(row.Attached, e.attached)
	}
	row.InFlight = append(row.InFlight, e.inFlight...)
}

func (r *Report) take(from *run) {
	j := from.judge
	if from.load != nil {
		r.Vanished = int(from.load.gone.Load())
	}
	r.Answers = map[string]int{}
	for kind, n := range j.counts {
		r.Answers[kind.String()] = n
	}
	for _, e := range r.episodes {
		r.add(e)
	}
	r.Broken, r.Examples = j.wrong, j.examples
	slices.SortFunc(r.Rows, func(a, b Row) int { return place(a.Fault) - place(b.Fault) })
}

// place gives the place of a row: pairs come last.
func place(name string) int {
	if i := slices.IndexFunc(faults, func(f fault) bool { return f.name == name }); i >= 0 {
		return i
	}
	return len(faults)
}

// What is to be reached after a server was killed.
const (
	inFlightTarget = 50 * time.Millisecond  // from its death to the answers of its events
	firstTarget    = 300 * time.Millisecond // from when the new one listens to the first success
)

// Markdown is the report as tables.
func (r *Report) Markdown() string {
	var b strings.Builder
	b.WriteString("| fault | times | allowed besides | seen | first success: median, longest | all attached |\n|---|---|---|---|---|---|\n")
	for _, row := range r.Rows {
		fmt.Fprintf(&b, "| %s | %d | %s | %s | %s | %s |\n", row.Fault, row.Times, row.Allows, row.seen(), spread(row.First), spread(row.Attached))
	}
	b.WriteString("\n")
	for _, row := range r.Rows {
		if len(row.InFlight) > 0 {
			fmt.Fprintf(&b, "%s: %d events under way were answered after %s (target %v); first success %s after the new one listens (target %v)\n",
				row.Fault, len(row.InFlight), spread(row.InFlight), inFlightTarget, spread(row.First), firstTarget)
		}
	}
	fmt.Fprintf(&b, "seed %d, %d rounds, %d workers: answers %v, %d clients vanished; %d rules broken\n",
		r.Seed, r.Rounds, r.Options.Workers, r.Answers, r.Vanished, r.Broken)
	return b.String()
}

func (row *Row) seen() string {
	var all []string
	for _, kind := range kindNames {
		if n := row.Answers[kind]; n > 0 {
			all = append(all, fmt.Sprintf("%d × %s", n, kind))
		}
	}
	return strings.Join(all, ", ")
}

// spread gives median and longest in milliseconds.
func spread(all []time.Duration) string {
	if len(all) == 0 {
		return ""
	}
	sorted := slices.Sorted(slices.Values(all))
	return fmt.Sprintf("%.1f, %.1f ms", milliseconds(sorted[(len(sorted)-1)/2]), milliseconds(sorted[len(sorted)-1]))
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
