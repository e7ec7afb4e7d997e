package shm

import "unsafe"

// regionSize is the size of one entry of Header.Regions in bytes.
const regionSize = uint32(unsafe.Sizeof(Region{}))

// headerAt gives the header at the start of a mapping of HeaderSize bytes or
// more.
func headerAt(mem []byte) *Header { return (*Header)(unsafe.Pointer(&mem[0])) }

// bytesOf gives the memory of a message as it goes over the wire.
func bytesOf[T Hello | Welcome | Header](message *T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(message)), unsafe.Sizeof(*message))
}
