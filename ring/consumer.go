package ring

import "fmt"

// Consumer is the reading handle of a ring. One goroutine uses it at a time;
// who hands it on orders the hand-over with a lock of its own.
type Consumer struct {
	// Immutable.
	ctl        *Control
	data       []byte
	maxPayload uint32

	// Owned by the consuming goroutine.
	pos       uint32 // where the next frame starts
	published uint32 // the last value stored into ctl.Consumed
	err       error  // set once the peer broke a rule
}

// Frame is one message of the ring, copied out of it.
type Frame struct {
	Payload []byte
	More    bool // a piece: the next frame of its sender goes on with it
}

// NewConsumer gives the reading handle of the ring in mem, which was formatted
// with [Format] and not yet read from. The handle keeps using mem: the caller
// unmaps it only after the last call.
func NewConsumer(mem []byte) (*Consumer, error) {
	ctl, data, err := open(mem)
	if err != nil {
		return nil, err
	}
	return &Consumer{
		ctl: ctl, data: data, maxPayload: uint32(MaxPayload(len(data))),
		pos: Start, published: Start,
	}, nil
}

// MaxPayload is the largest payload in bytes of a frame.
func (c *Consumer) MaxPayload() int { return int(c.maxPayload) }

// Ready tells whether Read would give a frame or an error.
func (c *Consumer) Ready() bool {
	return c.err != nil || wordAt(c.data, c.pos&c.mask()).Load() != 0
}

// eager is how often Spin looks before the first pause: an answer that is just
// under way is seen the sooner.
const eager = 64

// Spin looks for a frame, then up to n times with a pause of the processor
// between two looks, and tells whether one is there.
func (c *Consumer) Spin(n int) bool {
	if c.err != nil {
		return true
	}
	word := wordAt(c.data, c.pos&c.mask())
	for looks := eager; looks > 0; looks-- {
		if word.Load() != 0 {
			return true
		}
	}
	for ; n > 0; n-- {
		if word.Load() != 0 {
			return true
		}
		pause(1)
	}
	return false
}

// Read copies the next frame into buf, which it replaces by a longer one where
// it has to (never longer than MaxPayload), and gives its bytes back to the
// producer. It gives false when no frame is there, and an error that wraps
// [ErrCorrupt] when the producer broke a rule. The frame's payload is the
// caller's: the peer cannot change it any more.
func (c *Consumer) Read(buf []byte) (Frame, bool, error) {
	if c.err != nil {
		return Frame{}, false, c.err
	}
	offset := c.pos & c.mask()
	// sync P1: the payload was stored before the word; pairs with
	// Producer.Write. The word is loaded once and checked before use: the
	// peer may change it at any moment.
	word := wordAt(c.data, offset).Load()
	if word == 0 {
		return Frame{}, false, nil
	}
	pad := uint32(0)
	if word&Pad != 0 {
		// I5: a pad reaches the end of the buffer exactly, is shorter than the
		// longest frame, and a frame stands behind it.
		pad = c.capacity() - offset
		if word != Committed|Pad|(pad-WordSize) || pad > c.maxPayload {
			return Frame{}, false, c.corrupt("pad frame", offset, word)
		}
		offset = 0
		if word = wordAt(c.data, 0).Load(); word == 0 {
			return Frame{}, false, c.corrupt("no frame behind a pad", offset, word)
		}
	}
	length := word & LengthMask
	if word&(Committed|Pad) != Committed || length > c.maxPayload ||
		frameSize(length) > c.capacity()-offset {
		return Frame{}, false, c.corrupt("frame", offset, word)
	}
	buf = append(buf[:0], c.data[offset+WordSize:offset+WordSize+length]...)

	c.pos += pad + frameSize(length)
	if c.pos-c.published >= c.capacity()/4 {
		c.publish()
	}
	return Frame{Payload: buf, More: word&More != 0}, true, nil
}

// ClaimWake tells whether the producer waits for room and this call took over
// the duty to ring its doorbell. It is called after Read and after Sleep,
// whatever they gave: both may have given bytes back.
func (c *Consumer) ClaimWake() bool {
	// sync P4: Consumed is stored before this load, in one total order; pairs
	// with Producer.Wait.
	fence()
	return c.ctl.Starved.Load() == 1 && c.ctl.Starved.CompareAndSwap(1, 0)
}

// Sleep announces that the consumer is about to sleep. It gives false when a
// frame is there already: then there is nothing to wait for. After true, the
// producer rings this side's doorbell with its next frame; whatever ends the
// sleep, the caller calls Awake next.
func (c *Consumer) Sleep() bool {
	c.publish()
	// sync P3: announced before the second look at the ring, in one total
	// order; pairs with Producer.ClaimWake.
	c.ctl.Sleeping.Store(1)
	fence()
	if c.Ready() {
		c.Awake()
		return false
	}
	return true
}

// Awake takes the announcement of Sleep back. A producer that was quicker
// rings once more than needed; the caller has to bear that.
func (c *Consumer) Awake() { c.ctl.Sleeping.Store(0) }

// publish gives the bytes that were read back to the producer.
func (c *Consumer) publish() {
	if c.published != c.pos {
		// sync P2: the copies out of the ring come before this store; pairs
		// with Producer.reserve.
		c.ctl.Consumed.Store(c.pos)
		c.published = c.pos
	}
}

func (c *Consumer) corrupt(what string, offset, word uint32) error {
	c.err = fmt.Errorf("%w: %s at offset %d of %d: commit word %#x",
		ErrCorrupt, what, offset, c.capacity(), word)
	return c.err
}

func (c *Consumer) capacity() uint32 { return uint32(len(c.data)) }
func (c *Consumer) mask() uint32     { return uint32(len(c.data)) - 1 }
