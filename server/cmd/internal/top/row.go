package top

import (
	"math"
	"path/filepath"
	"strings"
	"time"

	"github.com/kongring/kongring/server"
	"github.com/kongring/kongring/server/metrics"
)

// row is what one session did between two samples, as a whole or for one plugin in
// one phase. A number that cannot be told, since nothing happened that it would be
// of, or there is no earlier sample, is nil.
type row struct {
	Server  string `json:"server"` // name of the socket
	Socket  string `json:"socket"`
	Session uint32 `json:"session"` // 0 of Kongs without the bridge, as are worker and pid
	Worker  uint32 `json:"worker"`
	PID     int    `json:"pid"`     // of the worker
	Carrier string `json:"carrier"` // "ring", "socket" or "stock"
	*ofPlugin

	Events   *float64 `json:"events_per_second"`
	Calls    *float64 `json:"calls_per_event"`
	Prefetch *float64 `json:"prefetch_hits"` // of the values that came along, the part that was asked for
	Errors   float64  `json:"errors"`        // events that ended badly, since the worker attached
	*ofWorker
}

// ofPlugin is what only a row of a plugin in a phase has.
type ofPlugin struct {
	Plugin string   `json:"plugin"`
	Phase  string   `json:"phase"`
	P50    *float64 `json:"p50_us"` // in microseconds; since this command measures
	P99    *float64 `json:"p99_us"`
}

// ofWorker is what only a row of a whole session has.
type ofWorker struct {
	Spins     *float64 `json:"spins_paid"`           // of the looks into the ring, the part that found a frame
	Doorbells *float64 `json:"doorbells_per_second"` // rung by either side
	Sleeps    *float64 `json:"sleeps_per_second"`    // of either side
	Fill      *float64 `json:"ring_fill"`            // part of the fuller ring that was not read yet
	Open      float64  `json:"open"`                 // events under way
}

// workers gives a row for each session of the later of two samples. before may be
// empty.
func workers(before, now sample) (all []row) {
	seconds := now.at.Sub(before.at).Seconds()
	for _, a := range now.servers {
		for _, s := range a.stats.Sessions {
			r := newRow(a, s)
			r.Errors = whole(s.Bridge.Errors)
			r.ofWorker = &ofWorker{Open: float64(s.UnderWay)}
			if s.Carrier == "ring" {
				r.Fill = ratio(float64(max(s.ToServer, s.ToWorker)), float64(s.Capacity))
			}
			if was := before.session(a, s.Session); was != nil {
				r.compare(*was, s, seconds)
			}
			all = append(all, r)
		}
	}
	return all
}

// plugins gives a row for each plugin, phase and session likewise.
func plugins(before, now sample) (all []row) {
	seconds := now.at.Sub(before.at).Seconds()
	for _, a := range now.servers {
		sessions := a.stats.Sessions
		if len(a.stats.Stock.Events) > 0 {
			sessions = append(sessions[:len(sessions):len(sessions)], stock(a))
		}
		for _, s := range sessions {
			was := before.session(a, s.Session)
			for _, is := range s.Events {
				r := newRow(a, s)
				r.ofPlugin = &ofPlugin{Plugin: printable(is.Plugin), Phase: printable(is.Phase)}
				for _, n := range is.Failed {
					r.Errors += whole(float64(n))
				}
				if was != nil {
					r.compareCells(cellOf(was, is.Plugin, is.Phase), &is.Cell, seconds)
				}
				all = append(all, r)
			}
		}
	}
	return all
}

func newRow(a answer, s server.SessionStats) row {
	return row{
		Server: serverName(a.socket), Socket: a.socket, Session: s.Session,
		Worker: s.Worker, PID: s.PID, Carrier: printable(s.Carrier),
	}
}

// stock makes a session of all that Kongs without the bridge did; its number is
// nobody else's.
func stock(a answer) server.SessionStats {
	return server.SessionStats{Carrier: "stock", UnderWay: a.stats.Stock.UnderWay, Events: a.stats.Stock.Events}
}

// session finds a session of the same server in the sample.
func (s sample) session(of answer, id uint32) *server.SessionStats {
	for _, a := range s.servers {
		if a.socket != of.socket || a.stats.PID != of.stats.PID {
			continue
		}
		if id == 0 {
			all := stock(a)
			return &all
		}
		for i := range a.stats.Sessions {
			if a.stats.Sessions[i].Session == id {
				return &a.stats.Sessions[i]
			}
		}
	}
	return nil
}

// cellOf finds what a session counted of a plugin in a phase: nothing, where it
// had none of it yet.
func cellOf(s *server.SessionStats, plugin, phase string) *metrics.Cell {
	for i := range s.Events {
		if s.Events[i].Plugin == plugin && s.Events[i].Phase == phase {
			return &s.Events[i].Cell
		}
	}
	return new(metrics.Cell)
}

func (r *row) compareCells(was, is *metrics.Cell, seconds float64) {
	events, calls := since(was.Events, is.Events), 0.0
	for how := range is.Calls {
		calls += since(was.Calls[how], is.Calls[how])
	}
	hits := since(was.Calls[metrics.Prefetched], is.Calls[metrics.Prefetched])
	r.Events = ratio(events, seconds)
	r.Calls = ratio(calls, events)
	r.Prefetch = ratio(hits, hits+since(was.Wasted, is.Wasted))
	times := is.Latency.Since(&was.Latency)
	r.P50, r.P99 = micros(times.Quantile(0.5)), micros(times.Quantile(0.99))
}

// micros gives a time in microseconds, if there is one.
func micros(d time.Duration, known bool) *float64 {
	if !known {
		return nil
	}
	n := float64(d) / float64(time.Microsecond)
	return &n
}

func (r *row) compare(was, is server.SessionStats, seconds float64) {
	a, b := was.Server, is.Server
	events := since(a.EventsDone, b.EventsDone)
	hits := since(a.PrefetchHits, b.PrefetchHits)
	calls := hits + since(a.RoundTrips, b.RoundTrips) + since(a.MemoHits, b.MemoHits) + since(a.Posted, b.Posted)
	paid := since(a.SpinsPaid, b.SpinsPaid)
	r.Events = ratio(events, seconds)
	r.Calls = ratio(calls, events)
	r.Prefetch = ratio(hits, hits+since(a.Wasted, b.Wasted))
	r.Spins = ratio(paid, paid+since(a.SpinsUnpaid, b.SpinsUnpaid))
	r.Doorbells = ratio(since(a.Doorbells, b.Doorbells)+since(was.Bridge.Doorbells, is.Bridge.Doorbells), seconds)
	r.Sleeps = ratio(since(a.Sleeps, b.Sleeps)+since(was.Bridge.Sleeps, is.Bridge.Sleeps), seconds)
}

// since is by how much a counter grew; one that fell is a worker's lie.
func since[N uint64 | float64](was, is N) float64 {
	if is < was {
		return 0
	}
	return whole(float64(is - was))
}

// whole is a worker's figure, as far as it can be one.
func whole(n float64) float64 {
	if n < 0 || math.IsNaN(n) || n > 1<<53 {
		return 0
	}
	return n
}

func ratio(a, b float64) *float64 {
	if b <= 0 {
		return nil
	}
	q := a / b
	return &q
}

// serverName is the short name of a socket.
func serverName(socket string) string {
	return printable(strings.TrimSuffix(filepath.Base(socket), ".socket"))
}

// printable leaves nothing in a text that would move a terminal's cursor.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '?'
		}
		return r
	}, text)
}
