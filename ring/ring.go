package ring

import (
	"errors"
	"fmt"
	"math/bits"
)

// ErrCorrupt is what the errors of a damaged ring wrap: the other side broke a
// rule of the layout. The handle that found it gives the same error from then
// on; the ring cannot be used any more.
var ErrCorrupt = errors.New("ring is corrupt")

// ErrGeometry is what NewProducer and NewConsumer wrap when memory cannot hold
// a ring: wrong length or alignment.
var ErrGeometry = errors.New("memory does not hold a ring")

// Size is the number of bytes of memory that a ring with the given capacity
// takes. It panics unless the capacity is a power of two between MinCapacity
// and MaxCapacity.
func Size(capacity int) int {
	if !validCapacity(capacity) {
		panic(fmt.Sprintf("ring: capacity %d: want a power of two from %d to %d",
			capacity, MinCapacity, MaxCapacity))
	}
	return ControlSize + capacity
}

// MaxPayload is the largest payload in bytes of one frame in a ring with the
// given capacity: a frame takes a quarter of the ring at most (I6).
func MaxPayload(capacity int) int { return capacity/4 - WordSize }

// Format makes an empty ring in mem, whose length [Size] tells. It is called
// once, by the side that owns the memory, before the other side sees it.
func Format(mem []byte) error {
	ctl, _, err := open(mem)
	if err != nil {
		return err
	}
	clear(mem)
	ctl.Consumed.Store(Start)
	return nil
}

// open checks the geometry of mem and splits it.
func open(mem []byte) (*Control, []byte, error) {
	capacity := len(mem) - ControlSize
	if !validCapacity(capacity) {
		return nil, nil, fmt.Errorf("%w: %d bytes leave a capacity of %d, not a power of two from %d to %d",
			ErrGeometry, len(mem), capacity, MinCapacity, MaxCapacity)
	}
	if !aligned(mem) {
		return nil, nil, fmt.Errorf("%w: not aligned to %d bytes", ErrGeometry, Alignment)
	}
	return controlAt(mem), mem[ControlSize:], nil
}

func validCapacity(c int) bool {
	return c >= MinCapacity && c <= MaxCapacity && bits.OnesCount(uint(c)) == 1
}
