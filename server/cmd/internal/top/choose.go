package top

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/kongring/kongring/server/cmd/internal/exit"
)

// orders are the values of --sort, by the columns of the table.
var orders = []string{"server", "events", "calls", "prefetch", "spins", "bells", "sleeps", "errors", "open"}

// order sorts rows: by server and worker, or the largest first.
func order(all []row, by string) {
	slices.SortStableFunc(all, func(a, b row) int {
		if d := cmp.Compare(b.figure(by), a.figure(by)); d != 0 {
			return d
		}
		return cmp.Or(cmp.Compare(a.Socket, b.Socket), cmp.Compare(a.Worker, b.Worker), cmp.Compare(a.Session, b.Session))
	})
}

// figure is what a row is sorted by; unknown ones come last.
func (r row) figure(by string) float64 {
	known := func(p *float64) float64 {
		if p == nil {
			return -1
		}
		return *p
	}
	switch by {
	case "events":
		return known(r.Events)
	case "calls":
		return known(r.Calls)
	case "prefetch":
		return known(r.Prefetch)
	case "spins":
		return known(r.Spins)
	case "bells":
		return known(r.Doorbells)
	case "sleeps":
		return known(r.Sleeps)
	case "errors":
		return r.Errors
	case "open":
		return r.Open
	}
	return 0
}

// filter is one NAME=VALUE that a row has to fit.
type filter struct{ name, value string }

// readFilters reads the values of --filter.
func readFilters(texts []string) (all []filter, err error) {
	for _, text := range texts {
		name, value, found := strings.Cut(text, "=")
		if _, known := (row{}).label(name); !found || !known || value == "" {
			return nil, exit.Misuse("flag --filter=%s: want server=NAME, worker=N, pid=N, session=N or carrier=ring|socket", text)
		}
		all = append(all, filter{name, value})
	}
	return all, nil
}

// label is what a filter of that name compares.
func (r row) label(name string) (value string, known bool) {
	switch name {
	case "server":
		return r.Server, true
	case "worker":
		return strconv.FormatUint(uint64(r.Worker), 10), true
	case "session":
		return strconv.FormatUint(uint64(r.Session), 10), true
	case "pid":
		return strconv.Itoa(r.PID), true
	case "carrier":
		return r.Carrier, true
	}
	return "", false
}

// choose leaves the rows that fit all filters.
func choose(all []row, filters []filter) []row {
	return slices.DeleteFunc(all, func(r row) bool {
		return slices.ContainsFunc(filters, func(f filter) bool {
			value, _ := r.label(f.name)
			return value != f.value
		})
	})
}
