package ring

import (
	"sync/atomic"
	"unsafe"
)

// controlAt gives the control words at the start of mem. The caller has
// checked that mem is long enough.
func controlAt(mem []byte) *Control {
	return (*Control)(unsafe.Pointer(&mem[0]))
}

// wordAt gives the commit word at an offset below len(data), a multiple of
// Alignment; indexing checks the bound.
func wordAt(data []byte, offset uint32) *atomic.Uint32 {
	return (*atomic.Uint32)(unsafe.Pointer(&data[offset]))
}

// clearWord stores 0 into the commit word at offset with a plain store. That
// is enough: the word lies in free space, so nobody polls it, and the commit
// that follows (P1) orders the store before the consumer's first look at it.
func clearWord(data []byte, offset uint32) {
	*(*uint32)(unsafe.Pointer(&data[offset])) = 0
}

// aligned tells whether mem can hold atomic words.
func aligned(mem []byte) bool {
	return uintptr(unsafe.Pointer(&mem[0]))%Alignment == 0
}
