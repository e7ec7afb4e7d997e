package ring

import (
	"structs"
	"sync/atomic"
	"unsafe"
)

// Control is the block of shared words at the start of a ring's memory. Every
// word has a cache line pair of its own (128 bytes: adjacent lines are fetched
// together on x86), so that a poll of one never slows a store to another.
//
//	offset 0    Consumed   written by the consumer, read by the producer
//	offset 128  Sleeping   set by the consumer, taken back by either side
//	offset 256  Starved    set by the producer, taken back by either side
//	offset 384  the data: capacity bytes, see the picture of a frame below
type Control struct {
	_ structs.HostLayout

	// Consumed is the position up to which the consumer gives bytes back.
	// Writer: consumer, at each quarter of the ring and before it sleeps.
	// Reader: producer, only when its private copy says there is no room.
	Consumed atomic.Uint32
	_        [124]byte

	// Sleeping is 1 while the consumer sleeps or is about to.
	// Writers: the consumer stores 1, either side exchanges it for 0.
	Sleeping atomic.Uint32
	_        [124]byte

	// Starved is 1 while the producer waits for room or is about to.
	// Writers: the producer stores 1, either side exchanges it for 0.
	Starved atomic.Uint32
	_       [124]byte
}

// A frame is a commit word, the payload, and filling up to the alignment:
//
//	          31          30    29    28                 0
//	        +-----------+-----+------+--------------------+
//	+0      | committed | pad | more | length of payload  |  u32, stored last
//	        +-----------+-----+------+--------------------+
//	+4      | payload ...                                 |
//	        +---------------------------------------------+
//	        | up to 7 bytes of filling                    |
//	        +---------------------------------------------+
//
// A pad frame has the pad bit and no payload to read: its length only says
// where the buffer ends.
const (
	Committed  = 1 << 31
	Pad        = 1 << 30
	More       = 1 << 29
	LengthMask = 1<<29 - 1

	// Alignment of every frame in bytes. The commit word of a small frame and
	// its payload mostly share a cache line, which makes one transfer of it.
	Alignment = 8

	// WordSize is the size of a frame's commit word in bytes.
	WordSize = 4

	// ControlSize is the size of [Control] in bytes; the data follow it.
	ControlSize = 384

	// MinCapacity and MaxCapacity bound a ring's data in bytes; the capacity
	// is a power of two between them.
	MinCapacity = 1 << 10
	MaxCapacity = 1 << 28

	// Start is the position of the first frame: just below the wrap of a
	// uint32, and of the buffer, so that every ring in production passes both
	// within its first frames.
	Start = 1<<32 - 256
)

// A wrong size or offset does not compile: the index is out of range.
var (
	_ = [1]struct{}{}[unsafe.Sizeof(Control{})-ControlSize]
	_ = [1]struct{}{}[unsafe.Offsetof(Control{}.Sleeping)-128]
	_ = [1]struct{}{}[unsafe.Offsetof(Control{}.Starved)-256]
)

// frameSize is the number of bytes that a frame with a payload of n bytes
// takes in the ring.
func frameSize(n uint32) uint32 {
	return (WordSize + n + Alignment - 1) &^ (Alignment - 1)
}
