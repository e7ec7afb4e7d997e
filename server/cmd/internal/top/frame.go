package top

import (
	"fmt"
	"slices"
	"strings"
)

// view is what is shown, and how.
type view struct {
	table   table
	sort    string
	filters []filter
	before  sample
	now     sample
}

// rows are those to show, in order.
func (v view) rows() []row {
	chosen := v.table.choose(v.table.rows(v.before, v.now), v.filters)
	v.table.order(chosen, v.sort)
	return chosen
}

// next sorts by the next column.
func (v *view) next() {
	orders := v.table.orders()
	v.sort = orders[(slices.Index(orders, v.sort)+1)%len(orders)]
}

// turn goes on to the next table, sorted by the same column if it has that.
func (v *view) turn() {
	at := slices.IndexFunc(tables, func(t table) bool { return t.name == v.table.name })
	v.table = tables[(at+1)%len(tables)]
	if !slices.Contains(v.table.orders(), v.sort) {
		v.sort = byServer
	}
}

// title sums the servers up.
func (v view) title() string {
	attached, failed, total := 0, 0, 0.0
	for _, a := range v.now.servers {
		if a.err != nil {
			failed++
		}
		attached += len(a.stats.Sessions)
	}
	for _, r := range workers(v.before, v.now) {
		if r.Events != nil {
			total += *r.Events
		}
	}
	text := fmt.Sprintf("%s  servers %d  workers %d  events/s %s  by %s", v.now.at.Format("15:04:05"), len(v.now.servers)-failed, attached, short(total), v.sort)
	if failed > 0 {
		text += fmt.Sprintf("  SILENT %d", failed)
	}
	return text
}

// faults are lines about servers that do not answer.
func (v view) faults() (lines []string) {
	for _, a := range v.now.servers {
		if a.err != nil {
			lines = append(lines, "! "+printable(a.err.Error()))
		}
	}
	return lines
}

// frame is the whole screen: lines of at most width characters, at most height
// of them. What does not fit is left out, and said so where there is room for it.
func (v view) frame(width, height int) string {
	lines := append([]string{v.title()}, v.faults()...)
	lines = append(lines, v.table.heads())
	chosen := v.rows()
	if len(chosen) == 0 {
		lines = append(lines, v.nothing())
	}
	for _, r := range chosen {
		lines = append(lines, v.table.of(r))
	}
	const keys = "q leave   s sort by the next column   t the other table"
	if room := height - 1; len(lines) > room {
		left := len(lines) - max(room, 1)
		lines = append(lines[:max(room, 1)], fmt.Sprintf("%d lines more   %s", left, keys))
	} else {
		lines = append(lines, keys)
	}
	lines = lines[:min(len(lines), max(height, 1))]
	var b strings.Builder
	b.WriteString(home)
	for i, line := range lines {
		if i > 0 {
			b.WriteString("\r\n")
		}
		// First cleared: behind a line as wide as the terminal there is nowhere to
		// clear from but its last character.
		b.WriteString(clearLine + cut(line, width))
	}
	b.WriteString(clearBelow)
	return b.String()
}

// nothing says why there is no row.
func (v view) nothing() string {
	what := "no worker is attached"
	if v.table.name == "plugins" && len(workers(v.before, v.now)) > 0 {
		what = "no plugin had an event"
	}
	return what + v.why()
}

// why says what leaves rows out.
func (v view) why() string {
	if len(v.filters) == 0 {
		return ""
	}
	text := " that fits"
	for _, f := range v.filters {
		text += " " + printable(f.name+"="+f.value)
	}
	return text
}
