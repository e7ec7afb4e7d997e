package ring

// Doors for the tests: the shared words of a ring as a peer could write them.

func ControlAt(mem []byte) *Control { return controlAt(mem) }

// PokeWord stores a word of the data as a hostile peer would.
func PokeWord(mem []byte, offset, value uint32) {
	wordAt(mem[ControlSize:], offset&uint32(len(mem)-ControlSize-1)&^(Alignment-1)).Store(value)
}

// ClearAhead does what Write does behind a frame of size bytes that ends where
// nothing was cleared yet, and gives what became of a 1 in the polled word.
func ClearAhead(p *Producer, size uint32) uint32 {
	word := wordAt(p.data, p.pos&p.mask())
	word.Store(1)
	defer word.Store(0)
	p.zeroed = p.pos
	p.clearAhead(size)
	return word.Load()
}
