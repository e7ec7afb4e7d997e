package server

import (
	"maps"
	"slices"
	"time"
)

// # How a server hands its workers over
//
// No step of it depends on time but the last resort, the grace time.
//
//  1. The server that stops listens no more, and begins no event, no instance
//     and no session from then on: it answers StatusShutdown, or refuses. What
//     is refused has not begun, so the worker brings it to whoever listens on
//     the socket then.
//  2. It dismisses each worker: it hangs up its doorbell, also one that comes
//     later, or sends Dismiss where there is none since the frames go over the
//     socket. A worker that shuts down is told nothing: it ends its session by
//     itself whenever it has no event.
//  3. The worker attaches anew for what comes, and hangs up the old session when
//     all its events there have come to their ends, with the answers read
//     (luabridge/kongring/see_off.lua).
//  4. The server goes on for its sessions, whether events are under way that it
//     knows of or not, until the last worker has hung up. Who has not at the end
//     of the grace time is hung up on, and its events fail.
//
// A Kong without the bridge has no such words: it is waited for while requests
// of its are under way.

// stopLook is how often a server that stops looks whether it may leave.
const stopLook = 5 * time.Millisecond

// draining tells whether new events are refused.
func (s *Server) draining() bool { return s.drain.Load() }

// underWay is the number of events that run now.
func (s *Server) underWay() (events int64) {
	for _, session := range s.attached() {
		events += session.events.Load()
	}
	return events + s.stock.underWay.Load()
}

// handOver refuses new events, dismisses the workers, and waits until they have
// left, up to the grace time.
func (s *Server) handOver() {
	s.drain.Store(true)
	for _, session := range s.attached() {
		session.dismiss()
	}
	idle := 0 // looks in a row at a Kong without the bridge that found no request
	for end := time.Now().Add(s.options.grace); time.Now().Before(end); time.Sleep(stopLook) {
		idle++
		if s.stock.underWay.Load() > 0 {
			idle = 0
		}
		if idle > 1 && len(s.attached()) == 0 {
			return
		}
	}
}

// attached gives the sessions that there are now.
func (s *Server) attached() []*session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.sessions))
}
