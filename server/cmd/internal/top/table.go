package top

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// table is a way to show rows: 80 characters wide at most.
type table struct {
	name    string
	rows    func(before, now sample) []row
	columns []column
	labels  []string // that --filter may name
}

// column is one of a table. Those with a name can be sorted by.
type column struct {
	name   string // as in --sort, or empty
	head   string
	width  int // texts are on the left where it is negative
	text   func(row) string
	figure func(row) *float64
}

// tables are all there are, the one that is shown first at first.
var tables = []table{
	{
		name: "plugins", rows: plugins, labels: []string{"server", "plugin", "phase", "worker", "pid", "session", "carrier"},
		columns: []column{
			{head: "SERVER", width: -11, text: func(r row) string { return r.Server }},
			{head: "PLUGIN", width: -12, text: func(r row) string { return r.Plugin }},
			{head: "PHASE", width: -8, text: func(r row) string { return r.Phase }},
			{head: "WRK", width: 3, text: worker},
			of("events", "EVENT/S", 7, short, func(r row) *float64 { return r.Events }),
			of("p50", "P50", 6, duration, func(r row) *float64 { return r.P50 }),
			of("p99", "P99", 6, duration, func(r row) *float64 { return r.P99 }),
			of("calls", "CALLS", 5, decimal, func(r row) *float64 { return r.Calls }),
			of("prefetch", "PREF%", 5, percent, func(r row) *float64 { return r.Prefetch }),
			of("errors", "ERRORS", 6, short, func(r row) *float64 { return &r.Errors }),
		},
	},
	{
		name: "workers", rows: workers, labels: []string{"server", "worker", "pid", "session", "carrier"},
		columns: []column{
			{head: "SERVER", width: -11, text: func(r row) string { return r.Server }},
			{head: "WRK", width: 3, text: worker},
			{head: "PID", width: 7, text: func(r row) string { return strconv.Itoa(r.PID) }},
			{head: "OVER", width: -4, text: over},
			of("events", "EVENT/S", 7, short, func(r row) *float64 { return r.Events }),
			of("calls", "CALLS", 5, decimal, func(r row) *float64 { return r.Calls }),
			of("spins", "SPIN%", 5, percent, func(r row) *float64 { return r.Spins }),
			of("bells", "BELL/S", 6, short, func(r row) *float64 { return r.Doorbells }),
			of("sleeps", "SLP/S", 6, short, func(r row) *float64 { return r.Sleeps }),
			of("fill", "FILL%", 5, percent, func(r row) *float64 { return r.Fill }),
			of("errors", "ERRORS", 6, short, func(r row) *float64 { return &r.Errors }),
			of("open", "OPEN", 4, short, func(r row) *float64 { return &r.Open }),
		},
	},
}

// of is a column of numbers that may be unknown.
func of(name, head string, width int, write func(float64) string, figure func(row) *float64) column {
	text := func(r row) string {
		n := figure(r)
		if n == nil {
			return "-"
		}
		return write(*n)
	}
	return column{name, head, width, text, figure}
}

func worker(r row) string {
	if r.Session == 0 {
		return "-"
	}
	return short(float64(r.Worker))
}

func over(r row) string {
	if r.Carrier == "socket" {
		return "sock"
	}
	return r.Carrier
}

// tableNamed finds a table.
func tableNamed(name string) (t table, found bool) {
	for _, t := range tables {
		if t.name == name {
			return t, true
		}
	}
	return table{}, false
}

// heads is the line above the rows.
func (t table) heads() string {
	return t.line(func(c column) string { return c.head })
}

// line writes something of each column.
func (t table) line(text func(column) string) string {
	var cells []string
	for _, c := range t.columns {
		cells = append(cells, fmt.Sprintf("%*s", c.width, cut(text(c), max(c.width, -c.width))))
	}
	return strings.Join(cells, " ")
}

// of is the line of a row.
func (t table) of(r row) string {
	return t.line(func(c column) string { return c.text(r) })
}

func decimal(n float64) string {
	if n >= 100 {
		return short(n)
	}
	return strconv.FormatFloat(n, 'f', 1, 64)
}

func percent(n float64) string { return strconv.FormatFloat(100*n, 'f', 0, 64) }

// duration writes microseconds in at most 5 characters: 9.4u, 940u, 9.4m, 9.4s.
func duration(micros float64) string {
	for _, unit := range []string{"u", "m"} {
		if micros < 999.5 {
			places := 0
			if micros < 9.95 {
				places = 1
			}
			return strconv.FormatFloat(micros, 'f', places, 64) + unit
		}
		micros /= 1000
	}
	return decimal(micros) + "s"
}

// short writes a number in at most 4 characters as far as that goes: 9999, 12k,
// 3M.
func short(n float64) string {
	for _, unit := range []string{"", "k", "M", "G", "T"} {
		if n < 9999.5 && unit == "" || n < 999.5 {
			return strconv.FormatFloat(n, 'f', 0, 64) + unit
		}
		n /= 1000
	}
	return "lots"
}

// cut shortens a text to a width, in characters.
func cut(text string, width int) string {
	if utf8.RuneCountInString(text) <= width {
		return text
	}
	return string([]rune(text)[:max(width, 0)])
}
