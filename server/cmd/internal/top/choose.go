package top

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/kongring/kongring/server/cmd/internal/exit"
)

// byServer is the order by server, worker, plugin and phase.
const byServer = "server"

// orders are the values of --sort that a table knows.
func (t table) orders() []string {
	names := []string{byServer}
	for _, c := range t.columns {
		if c.name != "" {
			names = append(names, c.name)
		}
	}
	return names
}

// order sorts rows: by server, or the largest figure first, unknown ones last.
func (t table) order(all []row, by string) {
	figure := func(row) float64 { return 0 }
	for _, c := range t.columns {
		if c.name == by && c.figure != nil {
			figure = func(r row) float64 {
				if n := c.figure(r); n != nil {
					return *n
				}
				return -1
			}
		}
	}
	slices.SortStableFunc(all, func(a, b row) int {
		return cmp.Or(
			cmp.Compare(figure(b), figure(a)), cmp.Compare(a.Socket, b.Socket),
			cmp.Compare(a.Worker, b.Worker), cmp.Compare(a.Session, b.Session),
		)
	})
}

// filter is one NAME=VALUE that a row has to fit.
type filter struct{ name, value string }

// filters reads the values of --filter.
func (t table) filters(texts []string) (all []filter, err error) {
	for _, text := range texts {
		name, value, found := strings.Cut(text, "=")
		if !found || value == "" || !slices.Contains(t.labels, name) {
			return nil, exit.Misuse("flag --filter=%s: want NAME=VALUE, where NAME is %s", text, strings.Join(t.labels, ", "))
		}
		all = append(all, filter{name, value})
	}
	return all, nil
}

// label is what a filter of that name compares.
func (r row) label(name string) string {
	switch name {
	case "server":
		return r.Server
	case "plugin":
		return r.Plugin
	case "phase":
		return r.Phase
	case "worker":
		return strconv.FormatUint(uint64(r.Worker), 10)
	case "session":
		return strconv.FormatUint(uint64(r.Session), 10)
	case "pid":
		return strconv.Itoa(r.PID)
	}
	return r.Carrier
}

// choose leaves the rows that fit all filters of which the table has the label.
func (t table) choose(all []row, filters []filter) []row {
	return slices.DeleteFunc(all, func(r row) bool {
		return slices.ContainsFunc(filters, func(f filter) bool {
			return slices.Contains(t.labels, f.name) && r.label(f.name) != f.value
		})
	})
}
