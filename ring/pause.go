package ring

// pause tells the processor n times that this is a loop that waits: PAUSE on
// amd64, YIELD on arm64. It leaves the core's shared units to a sibling thread
// and spares the memory-order flush when the polled word changes.
//
//go:noescape
func pause(n uint32)

// Pause is pause for the packages that wait around a ring.
func Pause(n uint32) { pause(n) }
