package top

import (
	"math"
	"path/filepath"
	"strings"

	"github.com/kongring/kongring/server"
)

// row is what one session did between two samples. A number that cannot be told,
// since nothing happened that it would be of, or there is no earlier sample, is
// nil.
type row struct {
	Server  string `json:"server"` // name of the socket
	Socket  string `json:"socket"`
	Session uint32 `json:"session"`
	Worker  uint32 `json:"worker"`
	PID     int    `json:"pid"` // of the worker
	Carrier string `json:"carrier"`

	Events    *float64 `json:"events_per_second"`
	Calls     *float64 `json:"calls_per_event"`
	Prefetch  *float64 `json:"prefetch_hits"`        // of the values that came along, the part that was asked for
	Spins     *float64 `json:"spins_paid"`           // of the looks into the ring, the part that found a frame
	Doorbells *float64 `json:"doorbells_per_second"` // rung by either side
	Sleeps    *float64 `json:"sleeps_per_second"`    // of either side
	Errors    float64  `json:"errors"`               // events that ended badly, since the worker attached
	Open      float64  `json:"open"`                 // events under way
}

// rows compares two samples. before may be empty.
func rows(before, now sample) (all []row) {
	seconds := now.at.Sub(before.at).Seconds()
	for _, a := range now.servers {
		for _, s := range a.stats.Sessions {
			r := row{
				Server: serverName(a.socket), Socket: a.socket, Session: s.Session,
				Worker: s.Worker, PID: s.PID, Carrier: printable(s.Carrier),
				Errors: whole(s.Bridge.Errors), Open: float64(s.UnderWay),
			}
			if was := before.session(a, s.Session); was != nil {
				r.compare(*was, s, seconds)
			}
			all = append(all, r)
		}
	}
	return all
}

// session finds a session of the same server in the sample.
func (s sample) session(of answer, id uint32) *server.SessionStats {
	for _, a := range s.servers {
		if a.socket != of.socket || a.stats.PID != of.stats.PID {
			continue
		}
		for i := range a.stats.Sessions {
			if a.stats.Sessions[i].Session == id {
				return &a.stats.Sessions[i]
			}
		}
	}
	return nil
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
