package suite

import "time"

// Plan says how much is measured.
type Plan struct {
	Quick   bool    `json:"quick"`
	Rounds  int     `json:"rounds"`
	Seconds float64 `json:"seconds"` // of a sample of whole requests

	Kind string `json:"kind"` // of the calls in whole requests

	// Modes, unless nil, are those alone that are measured, by events and by whole
	// requests; and nothing else is.
	Modes []string `json:"modes,omitempty"`

	trips int // of each limit

	ringRounds, ringSteps int
	ringSizes             string // bytes of payload, separated by commas
	ringSleep             bool

	calls, conns []int
	warmUp       time.Duration // before a sample of whole requests, at least

	eventCalls   []int
	eventSeconds float64

	bodies []int // bytes

	workers      []int // nothing is said of scale without any
	idleSessions int
	slowConns    []int

	idleFor time.Duration
}

// Own is a quick plan without what takes the project's source to measure, the ring
// by itself: for any machine. Calls for each request and connections are those that
// whole requests are measured with, and none is left out.
func Own(rounds int, seconds float64, calls, conns []int) Plan {
	p := Quick()
	p.Rounds, p.Seconds, p.calls, p.conns = rounds, seconds, calls, conns
	p.ringRounds = 0
	return p
}

// Full takes about twelve minutes.
func Full() Plan {
	return Plan{
		Rounds: 3, Seconds: 0.8, Kind: "header",
		trips:      20_000,
		ringRounds: 3, ringSteps: 50_000, ringSizes: "16,64,256,1024,4096,16384,65536", ringSleep: true,
		calls: []int{0, 1, 2, 5, 10, 20, 50}, conns: []int{1, 16, 64}, warmUp: 250 * time.Millisecond,
		eventCalls: []int{0, 1, 10, 50}, eventSeconds: 0.1,
		bodies:  []int{1 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20, 16 << 20},
		workers: []int{1, 2, 4}, idleSessions: 64, slowConns: []int{1, 16, 64, 256},
		idleFor: 10 * time.Second,
	}
}

// Quick takes less than a minute; its figures are rough.
func Quick() Plan {
	return Plan{
		Quick: true, Rounds: 1, Seconds: 0.7, Kind: "header",
		trips:      4000,
		ringRounds: 3, ringSteps: 20_000, ringSizes: "64",
		calls: []int{0, 1, 10, 50}, conns: []int{1, 16}, warmUp: 100 * time.Millisecond,
		eventCalls: []int{0, 1, 10, 50}, eventSeconds: 0.06,
		bodies:  []int{1 << 20},
		idleFor: 3 * time.Second,
	}
}
