package liar

import (
	"sync/atomic"
	"unsafe"

	"github.com/kongring/kongring/shm"
)

// word gives the word of a region at an offset, which is rounded down.
func word(region []byte, offset uint32) *atomic.Uint32 {
	return (*atomic.Uint32)(unsafe.Pointer(&region[offset&^3]))
}

// frontOf gives the page in front of a segment's first region: its header.
func frontOf(s *shm.Segment) []byte {
	return unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(&s.Region(0)[0]), -shm.HeaderSize)), shm.HeaderSize)
}
