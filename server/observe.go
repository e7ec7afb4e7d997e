package server

import (
	"sync"

	"github.com/kongring/kongring/server/metrics"
	"github.com/kongring/kongring/server/wire"
)

// ended adds up what sessions had counted when they ended, so that the totals
// never fall. Its lock is taken before those of the server and of sessions.
type ended struct {
	mu sync.Mutex
	totals
}

// totals are what sessions have counted, added up.
type totals struct {
	server  wire.ServerCounters
	worker  wire.WorkerCounters
	seconds float64 // of the workers' events
	events  metrics.Table
	nowhere metrics.Cell // events that were refused before they had a plugin
	methods metrics.Methods
}

// seen is the most that a worker has said so far of each of its counters: one
// that lies, or starts again, makes none of them fall.
type seen struct {
	counters wire.WorkerCounters
	seconds  float64
}

// maxCount is the most that a worker can count to: beyond it a double misses
// whole numbers.
const maxCount = 1 << 53

// take takes in what the worker has written by now. The caller has the lock of
// ended.
func (s *seen) take(now wire.WorkerCounters) {
	most := s.counters.Fields()
	for i, f := range now.Fields() {
		if f > most[i] && f <= maxCount {
			most[i] = f
		}
	}
	// The worker measures its clock anew now and then.
	if seconds := now.EventTicks / now.TicksPerUS / 1e6; seconds > s.seconds && seconds <= maxCount {
		s.seconds = seconds
	}
}

// add adds what a session has counted by now. The caller has the lock of ended.
func (t *totals) add(n *session, now *SessionStats) {
	n.seen.take(now.Bridge)
	for i, more := range now.Server.Words() {
		t.server.Words()[i] += more
	}
	for i, more := range n.seen.counters.Fields() {
		t.worker.Fields()[i] += more
	}
	t.seconds += n.seen.seconds
	t.events.Add(now.Events)
	t.nowhere.Add(&now.nowhere)
	t.methods.Add(n.calls)
}

// fold adds the session's counters to those of the sessions that have ended.
// Nobody writes them any more, and they are mapped; from now on nobody else
// reads them.
func (n *session) fold() {
	for n.postponed.len() > 0 {
		ev := n.postponed.pop() // nobody has the reader role, which would run it
		n.rings.countFailed(ev.instance.cell(ev.phase), metrics.Lost)
	}
	e := &n.server.ended
	e.mu.Lock()
	defer e.mu.Unlock()
	now := n.stats()
	e.add(n, &now)
	n.folded = true
}

// observe gives what there is to see of the server and all of its sessions.
func (s *Server) observe() metrics.Snapshot {
	// With the lock, each session is either counted among those that have ended or
	// its memory stays mapped.
	e := &s.ended
	e.mu.Lock()
	defer e.mu.Unlock()
	sum := e.totals
	sum.events = e.events.Clone()
	stock, refused := s.stock.stats(), s.stock.refusals()
	shot := metrics.Snapshot{
		Failed: s.counters.sessionsFailed.Load(), Refused: s.counters.refused.Load(),
		UnderWay: stock.UnderWay, Stock: stock.Connections,
		Instances: s.registry.count(), Stopping: s.draining(),
	}
	// Parts are counted before the whole or after it, so they are bounded by it.
	shot.Damaged = min(s.counters.damaged.Load(), shot.Failed)
	shot.Denied = min(s.counters.denied.Load(), shot.Refused)
	shot.Crowded = min(s.counters.crowded.Load(), shot.Refused-shot.Denied)
	workers := map[uint32]*metrics.Worker{}
	for _, n := range s.beginnings(&shot) {
		if !n.folded {
			now := n.stats()
			sum.add(n, &now)
			shot.UnderWay += now.UnderWay
			now.show(workers)
		}
	}
	for _, w := range workers {
		shot.Workers = append(shot.Workers, *w)
	}
	sum.events.Add(stock.Events)
	sum.nowhere.Add(&refused)
	sum.methods.Add(s.stock.calls)
	shot.Server, shot.Worker, shot.WorkerSeconds = sum.server, sum.worker, sum.seconds
	shot.Events, shot.Nowhere, shot.Methods = sum.events, sum.nowhere, sum.methods
	return shot
}

// beginnings fills in what the server knows of how sessions began, and gives
// those that are attached.
func (s *Server) beginnings(shot *metrics.Snapshot) (sessions []*session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	shot.Sockets.Begun = s.begun.sockets
	shot.Rings.Begun = s.counters.sessionsBegun.Load() - s.begun.sockets
	shot.SameProcess, shot.NewProcess = s.begun.same, s.begun.new
	for _, n := range s.sessions {
		sessions = append(sessions, n)
		if n.carrier() == CarrierSocket {
			shot.Sockets.Attached++
		} else {
			shot.Rings.Attached++
		}
	}
	return sessions
}

// show makes of a worker what it has in its session, where that is more.
func (now *SessionStats) show(workers map[uint32]*metrics.Worker) {
	w := workers[now.Worker]
	if w == nil {
		w = &metrics.Worker{Number: now.Worker}
		workers[w.Number] = w
	}
	if open := now.Bridge.Open; open >= 0 && open <= wire.MaxSlots {
		w.Slots = max(w.Slots, open)
	}
	if now.Carrier == CarrierRing.String() {
		w.Shared, w.Capacity = true, now.Capacity
		w.ToServer, w.ToWorker = max(w.ToServer, now.ToServer), max(w.ToWorker, now.ToWorker)
	}
}

// begun is how sessions began. The server's lock guards it.
type begun struct {
	sockets   uint64
	same, new uint64         // of workers that were attached before, by process
	pids      map[uint32]int // of each worker, by its number
}

// note takes in a session that begins.
func (b *begun) note(n *session) {
	if n.carrier() == CarrierSocket {
		b.sockets++
	}
	if b.pids == nil {
		b.pids = map[uint32]int{}
	}
	pid, known := b.pids[n.hello.Worker]
	switch {
	case known && pid == n.conn.Peer.PID:
		b.same++
	case known:
		b.new++
	case len(b.pids) >= maxSessions: // workers that make numbers up
		return
	}
	b.pids[n.hello.Worker] = n.conn.Peer.PID
}
