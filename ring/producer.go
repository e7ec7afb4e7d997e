package ring

import "fmt"

// Producer is the writing handle of a ring. One goroutine uses it at a time;
// who hands it on orders the hand-over with a lock of its own.
type Producer struct {
	// Immutable.
	ctl        *Control
	data       []byte
	maxPayload int

	// Owned by the producing goroutine.
	pos      uint32 // where the next frame starts
	consumed uint32 // the last value of ctl.Consumed that was checked
	zeroed   uint32 // up to here everything from pos on is 0
	err      error  // set once the peer broke a rule
}

// NewProducer gives the writing handle of the ring in mem, which was formatted
// with [Format] and not yet written to. The handle keeps using mem: the caller
// unmaps it only after the last call.
func NewProducer(mem []byte) (*Producer, error) {
	ctl, data, err := open(mem)
	if err != nil {
		return nil, err
	}
	return &Producer{
		ctl: ctl, data: data, maxPayload: MaxPayload(len(data)),
		pos: Start, consumed: Start, zeroed: Start,
	}, nil
}

// MaxPayload is the largest payload in bytes that Write takes.
func (p *Producer) MaxPayload() int { return p.maxPayload }

// Write copies payload into the ring as one frame and publishes it. It gives
// false, and changes nothing, when there is no room for it now. more marks a
// frame as a piece that another one continues. It panics when the payload is
// longer than MaxPayload, and gives an error that wraps [ErrCorrupt] when the
// consumer broke a rule.
//
// Write wakes nobody: after one or several of them the caller asks ClaimWake.
func (p *Producer) Write(payload []byte, more bool) (bool, error) {
	if len(payload) > p.maxPayload {
		panic(fmt.Sprintf("ring: frame of %d bytes: the limit is %d", len(payload), p.maxPayload))
	}
	size := frameSize(uint32(len(payload)))
	offset := p.pos & p.mask()
	at, pad := offset, uint32(0)
	if room := p.capacity() - offset; size > room {
		at, pad = 0, room
	}
	if ok, err := p.reserve(pad + size + Alignment); !ok {
		return false, err
	}

	// I4: the word where the next frame will start is cleared before this one
	// is published, so that old bytes are never taken for a frame.
	clearWord(p.data, (at+size)&p.mask())
	copy(p.data[at+WordSize:], payload)
	word := Committed | uint32(len(payload))
	if more {
		word |= More
	}
	// sync P1: publishes the payload and the cleared next word; pairs with
	// Consumer.Read's load.
	wordAt(p.data, at).Store(word)
	if pad > 0 {
		// The frame above stands at the front already; the consumer polls the
		// word here, so this store (P1 too) publishes both.
		wordAt(p.data, offset).Store(Committed | Pad | (pad - WordSize))
	}
	p.pos += pad + size
	p.clearAhead(size)
	return true, nil
}

// Bytes that are cleared ahead: in whole steps, a cache line and the length of
// the last frame beyond the next position.
const (
	clearStep = 256
	clearMost = 1024
)

// clearAhead clears what the next frame, if it is as long as the last one, will
// take. That takes the cache lines away from the consumer while it has a frame
// to read; the next write, in the middle of which they would be taken otherwise,
// is over sooner. The bytes are free ones (I2) behind the word that the consumer
// polls, so plain stores are enough.
func (p *Producer) clearAhead(size uint32) {
	from := p.pos + WordSize
	if int32(p.zeroed-from) > 0 {
		from = p.zeroed
	}
	goal := (p.pos + min(size, clearMost) + 64 + clearStep - 1) &^ (clearStep - 1)
	offset := from & p.mask()
	n := min(int64(int32(goal-from)), int64(p.capacity())-int64(from-p.consumed), int64(p.capacity()-offset))
	if n > 0 {
		clear(p.data[offset : offset+uint32(n)])
		p.zeroed = from + uint32(n)
	}
}

// ClaimWake tells whether the consumer sleeps and this call took over the duty
// to ring its doorbell. It is called after Write, and gives true at most once
// for each time the consumer went to sleep.
func (p *Producer) ClaimWake() bool {
	// sync P3: the frames are stored before this load, in one total order
	// (Go's atomics are sequentially consistent); pairs with Consumer.Sleep.
	fence()
	return p.ctl.Sleeping.Load() == 1 && p.ctl.Sleeping.CompareAndSwap(1, 0)
}

// Wait announces that the producer is about to wait for room for a payload of
// n bytes. It gives false when the room is there already or an error is to be
// had from Write: then there is nothing to wait for. After true, the consumer
// rings this side's doorbell once it gave bytes back; the caller tries Write
// again after any wake-up.
func (p *Producer) Wait(n int) bool {
	// sync P4: announced before the second look at Consumed; pairs with
	// Consumer.ClaimWake.
	p.ctl.Starved.Store(1)
	fence()
	size := frameSize(uint32(n))
	pad := uint32(0)
	if room := p.capacity() - p.pos&p.mask(); size > room {
		pad = room
	}
	if ok, err := p.reserve(pad + size + Alignment); ok || err != nil {
		p.ctl.Starved.Store(0)
		return false
	}
	return true
}

// reserve tells whether the next n bytes of the ring are free. It reads the
// shared position only when the private copy says no.
func (p *Producer) reserve(n uint32) (bool, error) {
	if p.err != nil {
		return false, p.err
	}
	if p.capacity()-(p.pos-p.consumed) >= n {
		return true, nil
	}
	// sync P2: the consumer is done with the bytes below; pairs with
	// Consumer.publish.
	consumed := p.ctl.Consumed.Load()
	inUse := p.pos - consumed
	if inUse > p.pos-p.consumed || consumed%Alignment != 0 {
		p.err = fmt.Errorf("%w: consumed position %#x is not between %#x and %#x",
			ErrCorrupt, consumed, p.consumed, p.pos)
		return false, p.err
	}
	p.consumed = consumed
	return p.capacity()-inUse >= n, nil
}

func (p *Producer) capacity() uint32 { return uint32(len(p.data)) }
func (p *Producer) mask() uint32     { return uint32(len(p.data)) - 1 }
