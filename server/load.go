package server

import (
	"fmt"
	"sync/atomic"

	"github.com/kongring/kongring/server/wire"
)

// load is what one worker has under way of one plugin, and had. Each worker has
// its own, so that neither a plugin that blocks nor a worker with much traffic
// takes the room of another.
type load struct {
	requests atomic.Int32 // events that a client waits for
	logs     atomic.Int32 // events of the log phase
	cells    cells        // guarded by the lock of the session's rings
}

// maxEvents is how many events a client may wait for, of a plugin in a worker:
// half of a session's slots.
const maxEvents = wire.MaxSlots / 2

// MaxEvents bounds the events of this plugin that each worker has under way at
// one time, from 1 to 2048, which it is unless set; in the log phase, where
// nobody waits, half as many, rounded up. What comes beyond it is refused at
// once: Kong answers 503, or goes on without the plugin where its failure policy
// is open, and a log event is lost; the counter Overloads has them all.
//
// A plugin that waits for others needs as many as its traffic times its waiting
// time. One that computes is better off with few: they share the processors, and
// those that are accepted are done sooner.
func MaxEvents(n int) PluginOption {
	return func(p *plugin) error {
		if n < 1 || n > maxEvents {
			return fmt.Errorf("at most %d events at one time: want 1 to %d", n, maxEvents)
		}
		p.maxEvents = n
		return nil
	}
}

// enter counts an event in, and gives false when there are as many as may be.
func (l *load) enter(p *plugin, phase uint8) bool {
	limit := p.maxEvents
	if phase == wire.PhaseLog {
		limit = (limit + 1) / 2
	}
	// Only the reader enters, so that the count only falls meanwhile.
	underWay := l.of(phase)
	if int(underWay.Load()) >= limit {
		return false
	}
	underWay.Add(1)
	return true
}

// leave counts an event out that has entered.
func (l *load) leave(phase uint8) { l.of(phase).Add(-1) }

func (l *load) of(phase uint8) *atomic.Int32 {
	if phase == wire.PhaseLog {
		return &l.logs
	}
	return &l.requests
}

// postponed are log events, oldest first, that wait until nothing else is in the
// ring: nobody waits for them, and behind them there may be a request.
type postponed struct {
	events []*event
	first  int
}

// maxPostponed bounds them. Beyond it the oldest has its turn.
const maxPostponed = 256

func (p *postponed) len() int { return len(p.events) - p.first }

func (p *postponed) push(ev *event) { p.events = append(p.events, ev) }

func (p *postponed) pop() *event {
	ev := p.events[p.first]
	p.events[p.first] = nil
	p.first++
	if p.first == len(p.events) {
		p.events, p.first = p.events[:0], 0
	}
	return ev
}

// due gives the postponed event that has its turn now, or nil. The caller has
// the reader role.
func (n *session) due() *event {
	waiting := n.postponed.len()
	if waiting == 0 || waiting < maxPostponed && n.rings.in.Ready() {
		return nil
	}
	return n.postponed.pop()
}
