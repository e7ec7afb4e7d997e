package server

import (
	"encoding/binary"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/kongring/kongring/server/wire"
)

// profile learns which getters the handler of one phase of an instance asks
// for, so that workers send their values along with the event. It counts in
// windows of events: a getter that at least half of a window's events asked for
// comes in, and stays for as long as a quarter of them do.
type profile struct {
	current atomic.Pointer[prefetch] // never nil
	pinned  []habit                  // declared by the author: never leave
	bounds  prefetchBounds

	mu     sync.Mutex
	events int // in this window
	looked int // events that were looked at, ever
	habits map[string]*habit
}

// habit is one getter with its arguments.
type habit struct {
	method wire.MethodID
	args   string // as MessagePack array
	asked  int    // events of the window that asked for it
	last   int    // the number of the last event that did
	turn   int    // when it last was asked for, within its event
}

// prefetch is one version of what workers send along. It never changes.
type prefetch struct {
	version  uint32
	getters  []habit
	keys     [][]byte // the arguments as the memo compares them
	message  []byte   // body of the Profile message
	previous *prefetch
}

// A window has so many events that were looked at: all events until the first
// profile stands, and then one in sampling.
const (
	window   = 8
	sampling = 4
)

// maxHabits bounds the getters that are counted in a window, against plugins
// that ask for something else at each event.
const maxHabits = 256

// maxArgs bounds the arguments of a getter that is learned, in bytes.
const maxArgs = 256

// prefetchBounds bounds what comes along with an event.
type prefetchBounds struct{ getters, bytes int }

func newProfile(pinned []habit, bounds prefetchBounds) *profile {
	p := &profile{pinned: pinned, bounds: bounds, habits: map[string]*habit{}}
	p.current.Store(&prefetch{})
	if len(pinned) > 0 {
		p.current.Store(newPrefetch(pinned, p.current.Load(), bounds))
	}
	return p
}

func newPrefetch(getters []habit, previous *prefetch, bounds prefetchBounds) *prefetch {
	getters = getters[:min(len(getters), bounds.getters)]
	old := *previous
	old.previous = nil // two versions are under way at most
	f := &prefetch{version: previous.version + 1, getters: getters, previous: &old}
	f.message = binary.LittleEndian.AppendUint32(nil, f.version)
	f.message = binary.LittleEndian.AppendUint32(f.message, uint32(bounds.bytes))
	f.message = binary.LittleEndian.AppendUint16(f.message, uint16(len(getters)))
	var m memo
	for _, g := range getters {
		f.message = binary.LittleEndian.AppendUint16(f.message, uint16(g.method))
		f.message = append(f.message, g.args...)
		f.keys = append(f.keys, []byte(string(m.key(g.method, []byte(g.args)))))
	}
	return f
}

// version gives the version with a number, nil when it is none of the last two.
func (p *profile) version(number uint32) *prefetch {
	f := p.current.Load()
	for f != nil && f.version != number {
		f = f.previous
	}
	return f
}

// learn counts what an event asked for: values that came with it, and getters
// that it had to ask the worker for.
func (p *profile) learn(ev *event) {
	if ev.generation%sampling != 0 && p.current.Load().version != 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.looked++
	for i := range ev.memo.known {
		k := &ev.memo.known[i]
		if k.turn > 0 && wire.Methods[k.method].Prefetchable() {
			p.count(k)
		}
	}
	if p.events++; p.events >= window {
		p.revise()
	}
}

func (p *profile) count(k *known) {
	var scratch [maxArgs + 2]byte
	if len(k.key) > maxArgs {
		return
	}
	key := append(binary.LittleEndian.AppendUint16(scratch[:0], uint16(k.method)), k.key...)
	h := p.habits[string(key)]
	if h == nil {
		if len(p.habits) >= maxHabits {
			return
		}
		h = &habit{method: k.method, args: string(k.key)}
		p.habits[string(key)] = h
	}
	if h.last != p.looked { // once, even if it asked again after a write of its own
		h.last = p.looked
		h.asked++
	}
	h.turn = k.turn
}

// revise ends a window. The caller holds the lock.
func (p *profile) revise() {
	now := p.current.Load()
	var next []habit
	for key, h := range p.habits {
		if p.isPinned(h) {
			continue
		}
		least := window / 2
		if now.has(h) {
			least = window / 4
		}
		if h.asked >= least {
			next = append(next, *h)
		}
		if h.asked == 0 {
			delete(p.habits, key)
		}
		h.asked = 0
	}
	slices.SortFunc(next, func(a, b habit) int { return b.asked - a.asked })
	next = append(slices.Clone(p.pinned), next...)
	next = next[:min(len(next), p.bounds.getters)]
	if !sameSet(next, now.getters) {
		// In the order in which the handler asks, as the memo looks.
		slices.SortStableFunc(next, func(a, b habit) int { return a.turn - b.turn })
		p.current.Store(newPrefetch(next, now, p.bounds))
	}
	p.events = 0
}

func sameSet(a, b []habit) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(h habit) bool { return !slices.ContainsFunc(b, h.same) })
}

func (h habit) same(o habit) bool { return h.method == o.method && h.args == o.args }

func (f *prefetch) has(h *habit) bool { return slices.ContainsFunc(f.getters, h.same) }

func (p *profile) isPinned(h *habit) bool { return slices.ContainsFunc(p.pinned, h.same) }
