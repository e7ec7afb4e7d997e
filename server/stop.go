package server

import (
	"maps"
	"slices"
	"time"
)

// draining tells whether new events are refused.
func (s *Server) draining() bool { return s.drain.Load() }

// underWay is the number of events that run now.
func (s *Server) underWay() (events int64) {
	for _, session := range s.attached() {
		events += session.events.Load()
	}
	return events + s.stock.underWay.Load()
}

// How often waitForEvents looks, and how long it waits for a worker that knows
// that the server stops, and has no event under way, to hang up.
const (
	stopLook  = 5 * time.Millisecond
	leaveTime = time.Second
)

// waitForEvents refuses new events and waits for those under way, up to the
// grace time, and for the workers to take the last answers.
func (s *Server) waitForEvents() {
	s.drain.Store(true)
	for _, session := range s.attached() {
		session.dismiss()
	}
	began := time.Now()
	for now, busy := began, began; now.Sub(began) < s.options.grace; now = time.Now() {
		if s.underWay() > 0 {
			busy = now
		} else if quiet := now.Sub(busy); quiet >= leaveTime || quiet >= stopLook && !s.staying() {
			return
		}
		time.Sleep(stopLook)
	}
}

// staying tells whether a worker that was dismissed is still attached: with it,
// what it sent before it knew, and answers that it has not read.
func (s *Server) staying() bool {
	for _, session := range s.attached() {
		if session.dismissed.Load() {
			return true
		}
	}
	return false
}

// attached gives the sessions that there are now.
func (s *Server) attached() []*session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.sessions))
}
