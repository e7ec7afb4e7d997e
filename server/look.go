package server

import (
	"runtime"
	"sync/atomic"
	"syscall"
)

// Rules of the look. A reader that finds the ring empty looks on for a while
// before it sleeps, since being woken costs each side tens of microseconds. It
// offers its processor to other threads after each microsecond, so that where
// cores are scarce the worker, or who sends it requests, runs instead. After
// lookPatience looks in a row were in vain, only one in lookProbe is tried, to
// see whether the traffic changed. With 16 connections on 2 cores that worker,
// server and load generator share, the offer took the sleeps from 0.25 of an
// event to less than 0.01, and the server's CPU from 11 to 6 µs a request; there
// lookMicros matters little. With one connection 100 µs gave 26 to 31 thousand
// requests a second, 50 µs 21 to 24 and 20 µs 8 to 9.
const (
	lookMicros   = 100
	lookPatience = 8
	lookProbe    = 16
)

// spinners counts the goroutines that spin now, over all servers of the
// process: at most half of the processors do.
var spinners atomic.Int32

// spin looks at the ring for a while and tells whether a frame came.
func (r *reader) spin() bool {
	if r.unpaid >= lookPatience {
		if r.skipped++; r.skipped < lookProbe {
			return false
		}
		r.skipped = 0
	}
	if int(spinners.Add(1)) > max(1, runtime.GOMAXPROCS(0)/2) {
		spinners.Add(-1)
		return false
	}
	paid := r.look()
	spinners.Add(-1)
	if paid {
		r.unpaid = 0
		r.session.rings.counters.SpinsPaid++
	} else {
		r.unpaid++
		r.session.rings.counters.SpinsUnpaid++
	}
	return paid
}

func (r *reader) look() bool {
	in, micro := r.session.rings.in, spinUnit()
	for range lookMicros {
		if in.Spin(micro) {
			return true
		}
		// Not runtime.Gosched, which offers the processor to goroutines only.
		// The call is short, or the thread waits for its turn, which is what it
		// is for; the runtime need not know.
		_, _, _ = syscall.RawSyscall(syscall.SYS_SCHED_YIELD, 0, 0, 0)
	}
	return in.Ready()
}
