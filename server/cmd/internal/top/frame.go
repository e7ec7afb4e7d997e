package top

import (
	"fmt"
	"strings"
)

// view is what is shown, and how.
type view struct {
	sort    string
	filters []filter
	before  sample
	now     sample
}

// rows are those to show, in order.
func (v view) rows() []row {
	chosen := choose(rows(v.before, v.now), v.filters)
	order(chosen, v.sort)
	return chosen
}

// title sums the servers up.
func (v view) title() string {
	workers, failed, total := 0, 0, 0.0
	for _, a := range v.now.servers {
		if a.err != nil {
			failed++
		}
		workers += len(a.stats.Sessions)
	}
	for _, r := range rows(v.before, v.now) {
		if r.Events != nil {
			total += *r.Events
		}
	}
	text := fmt.Sprintf("%s  servers %d  workers %d  events/s %s  by %s", v.now.at.Format("15:04:05"), len(v.now.servers)-failed, workers, short(total), v.sort)
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
	lines = append(lines, heads)
	chosen := v.rows()
	if len(chosen) == 0 {
		lines = append(lines, "no worker is attached"+v.why())
	}
	for _, r := range chosen {
		lines = append(lines, r.line())
	}
	const keys = "q leave   s sort by the next column"
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
