package server

import (
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kongring/kongring/ring"
	"github.com/kongring/kongring/server/metrics"
	"github.com/kongring/kongring/server/wire"
	"github.com/kongring/kongring/shm"
)

// rings is a session's pair of rings with their doorbells: what the frames go
// through. At their other end is the worker or, where shared memory is refused,
// a pump (pump.go). Reading is the affair of who has the reader role; writing is
// open to every goroutine.
type rings struct {
	segment  *shm.Segment
	counters *wire.ServerCounters // in the segment; see each user for who writes what
	bell     bell                 // rung by the other end

	worker   *wire.WorkerCounters
	maxFrame int // longest frame in bytes

	in *ring.Consumer // owned by the reader role

	tap atomic.Pointer[tap] // gets a copy of each frame; nil unless somebody traces

	mu       sync.Mutex // merges the writers: the ring has one producer
	out      *ring.Producer
	shut     bool                // no more access to the memory
	doorbell doorbell            // rings the other end; nil until it opened one
	waiting  map[waiter]struct{} // writers that wait for room
	starved  atomic.Int32        // len(waiting), for a look without the lock
	nowhere  metrics.Cell        // events that were refused before they had a plugin; guarded by mu, like the cells of the session
}

// bell is what the reader sleeps on: a [shm.Bell], or a localBell. Its methods
// may be called by several goroutines at once.
type bell interface {
	Ring() error
	Wait() error // an error that wraps shm.ErrClosed after Close
	Close() error
}

// doorbell wakes who is at the other end of the rings: a [shm.Conn], or a pump.
// Ring never blocks.
type doorbell interface {
	Ring() error
	Close() error
}

// waiter is how one waiting goroutine is woken; its capacity is 1, so that a
// wake-up before the wait is not lost.
type waiter chan struct{}

func (w waiter) wake() {
	select {
	case w <- struct{}{}:
	default:
	}
}

// newRings makes the shared segment of a session. What it fails for is memory
// or descriptors that the system refuses.
func newRings(session uint32, capacity int) (*rings, error) {
	segment, err := shm.Create(fmt.Sprintf("kongring-%d", session), wire.Version, session, regions(capacity)...)
	if err != nil {
		return nil, err
	}
	bell, err := shm.NewBell()
	if err != nil {
		_ = segment.Close()
		return nil, err
	}
	return openRings(segment, bell)
}

// newPrivateRings makes the segment of a session whose frames a pump carries.
func newPrivateRings(session uint32, capacity int) (*rings, error) {
	segment, err := shm.CreatePrivate(wire.Version, session, regions(capacity)...)
	if err != nil {
		return nil, err
	}
	return openRings(segment, newLocalBell())
}

// regions are the sizes of a segment's regions, in the order of their numbers.
func regions(capacity int) []int {
	size := ring.Size(capacity)
	return []int{size, size, wire.CountersSize, wire.CountersSize}
}

// openRings owns segment and bell from then on.
func openRings(segment *shm.Segment, bell bell) (*rings, error) {
	r := &rings{segment: segment, bell: bell, waiting: map[waiter]struct{}{}}
	if err := r.open(); err != nil {
		_ = segment.Close()
		_ = bell.Close()
		return nil, err
	}
	return r, nil
}

func (r *rings) open() (err error) {
	for _, region := range []int{wire.RegionToServer, wire.RegionToWorker} {
		if err := ring.Format(r.segment.Region(region)); err != nil {
			return err
		}
	}
	if r.in, err = ring.NewConsumer(r.segment.Region(wire.RegionToServer)); err != nil {
		return err
	}
	if r.out, err = ring.NewProducer(r.segment.Region(wire.RegionToWorker)); err != nil {
		return err
	}
	r.maxFrame = r.out.MaxPayload()
	r.counters = wire.ServerCountersAt(r.segment.Region(wire.RegionServerCounters))
	r.worker = wire.WorkerCountersAt(r.segment.Region(wire.RegionWorkerCounters))
	r.worker.LogLevel = 8 // until the worker says otherwise
	return nil
}

// write sends a message, in pieces where it is longer than a frame; it may
// overwrite what it has sent of it. While the ring is full it waits on w, until
// over gives an error. w must have no other use meanwhile but wake-ups that
// make the caller look again.
func (r *rings) write(message []byte, w waiter, over func() error) error {
	for rest := message; ; {
		piece, more := rest, len(rest) > r.maxFrame
		if more {
			piece = rest[:r.maxFrame]
		}
		if err := r.writeFrame(piece, more, w, over); err != nil || !more {
			return err
		}
		// Each piece starts with the head: it takes the place of the last
		// bytes that were sent.
		rest = rest[len(piece)-wire.HeadSize:]
		copy(rest, message[:wire.HeadSize])
	}
}

// writeFrame sends one frame and waits for room where it has to.
func (r *rings) writeFrame(frame []byte, more bool, w waiter, over func() error) error {
	for {
		sent, err := r.tryWrite(frame, more, w)
		if sent || err != nil {
			return err
		}
		<-w
		if err := over(); err != nil {
			r.mu.Lock()
			delete(r.waiting, w)
			r.starved.Store(int32(len(r.waiting)))
			r.mu.Unlock()
			return err
		}
	}
}

// tryWrite sends one frame, or registers w to be woken when there may be room.
func (r *rings) tryWrite(frame []byte, more bool, w waiter) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		if r.shut {
			return false, errClosed
		}
		if sent, err := r.put(frame, more); sent || err != nil {
			return sent, err
		}
		// Registered before it is announced: the reader takes the worker's ring
		// for room as soon as Wait has asked for it, and looks at starved only.
		r.waiting[w] = struct{}{}
		r.starved.Store(int32(len(r.waiting)))
		if r.out.Wait(len(frame)) {
			r.counters.FullWaits++
			// The frames that fill the ring must not wait for a sleeper that
			// nobody woke.
			if r.out.ClaimWake() {
				r.ringWorker()
			}
			return false, nil
		}
		// Wait took its announcement back, and with it that of the others.
		delete(r.waiting, w)
		r.wakeAll()
	}
}

// offer sends one frame if there is room for it now.
func (r *rings) offer(frame []byte) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.shut {
		return false
	}
	sent, err := r.put(frame, false)
	if !sent || err != nil {
		return false // an error comes again at the next write
	}
	r.counters.Profiles++
	return true
}

// put writes one frame into the ring, counts it, and wakes the worker; false
// when there is no room. The caller holds the lock.
func (r *rings) put(frame []byte, more bool) (bool, error) {
	sent, err := r.out.Write(frame, more)
	if !sent || err != nil {
		return false, err
	}
	r.counters.FramesOut++
	r.counters.BytesOut += uint64(len(frame))
	r.tapped(false, ring.Frame{Payload: frame, More: more})
	if r.out.ClaimWake() {
		r.ringWorker()
	}
	return true, nil
}

// count adds up an event that has ended.
func (r *rings) count(ev *event) {
	took, timed := ev.began.since()
	cell := ev.instance.cell(ev.phase)
	r.mu.Lock()
	defer r.mu.Unlock()
	cell.Events++
	for how, n := range ev.tally {
		cell.Calls[how] += n
	}
	wasted := uint64(0)
	if ev.prefetched != nil {
		wasted = ev.memo.unused()
	}
	cell.Wasted += wasted
	if timed {
		cell.Latency.Count(took)
	}
	if r.shut {
		return
	}
	c := r.counters
	c.EventsDone++
	c.Posted += ev.tally[metrics.Posted]
	c.RoundTrips += ev.tally[metrics.RoundTrip]
	c.MemoHits += ev.tally[metrics.Memo]
	c.PrefetchHits += ev.tally[metrics.Prefetched]
	c.Wasted += wasted
}

// countFailed counts an event that ends badly in its cell.
func (r *rings) countFailed(c *metrics.Cell, how metrics.Failure) {
	r.mu.Lock()
	c.Failed[how]++
	r.mu.Unlock()
}

// countRefused adds up an event that nothing came of, in its cell or, where that
// is nil, in nowhere.
func (r *rings) countRefused(c *metrics.Cell, why metrics.Failure) {
	r.mu.Lock()
	if c == nil {
		c = &r.nowhere
	}
	c.Failed[why]++
	r.counters.EventsDone++
	r.mu.Unlock()
}

// logLevel is the worker's level of logging, in the number that it wrote last.
// The caller has joined the session.
func (r *rings) logLevel() int {
	bits := atomic.LoadUint64(&r.worker.Words()[wire.LogLevelWord])
	level := math.Float64frombits(bits)
	if !(level >= 0 && level <= 8) {
		return 8 // nothing is dropped on the word of a worker that lies
	}
	return int(level)
}

// ringWorker rings the worker's doorbell. The caller holds the lock. Without a
// doorbell connection the worker looks by itself: it is about to open one, or
// leaves.
func (r *rings) ringWorker() {
	if r.doorbell == nil {
		return
	}
	r.counters.Doorbells++
	_ = r.doorbell.Ring() // a worker that is gone hangs up its control connection as well
}

// setDoorbell puts a new doorbell connection in the place of the old one,
// which is closed. A ring that was lost in between is made good.
func (r *rings) setDoorbell(c doorbell) {
	r.mu.Lock()
	old := r.doorbell
	r.doorbell = c
	if c != nil && !r.shut {
		_ = c.Ring()
	}
	r.mu.Unlock()
	if old != nil {
		_ = old.Close()
	}
}

// dropDoorbell forgets a doorbell connection that hung up, unless a newer one
// took its place.
func (r *rings) dropDoorbell(c doorbell) {
	r.mu.Lock()
	if r.doorbell == c {
		r.doorbell = nil
	}
	r.mu.Unlock()
}

// claimWorker rings the worker if it waits for room that the reader has made.
// The caller has the reader role.
func (r *rings) claimWorker() {
	if r.in.ClaimWake() {
		r.mu.Lock()
		r.ringWorker()
		r.mu.Unlock()
	}
}

// wakeWriters makes the writers that wait for room look again. It is called
// after each wake-up by the worker and after frames were read, since the
// worker gives room back before it sends or sleeps.
func (r *rings) wakeWriters() {
	if r.starved.Load() == 0 {
		return
	}
	r.mu.Lock()
	r.wakeAll()
	r.mu.Unlock()
}

// wakeAll wakes the writers that wait; those that still find no room register
// again. The caller holds the lock.
func (r *rings) wakeAll() {
	for w := range r.waiting {
		w.wake()
	}
	clear(r.waiting)
	r.starved.Store(0)
}

// shutDown ends all access of writers to the memory; after it, and once the
// reader role is given up for good, close may unmap.
func (r *rings) shutDown() {
	r.mu.Lock()
	r.shut = true
	r.wakeAll()
	r.mu.Unlock()
	r.setDoorbell(nil)
	_ = r.bell.Close()
}

// close unmaps the segment.
func (r *rings) close() error { return r.segment.Close() }

// spinUnit is the number of pauses that take about a microsecond on this
// machine, measured once.
var spinUnit = sync.OnceValue(func() int {
	const pauses = 2000
	best := time.Duration(1<<63 - 1)
	for range 5 {
		start := time.Now()
		ring.Pause(pauses)
		best = min(best, time.Since(start))
	}
	return max(1, int(pauses*time.Microsecond/max(best, 1)))
})
