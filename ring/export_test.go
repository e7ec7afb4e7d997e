package ring

// Doors for the tests: the shared words of a ring as a peer could write them.

func ControlAt(mem []byte) *Control { return controlAt(mem) }

// PokeWord stores a word of the data as a hostile peer would.
func PokeWord(mem []byte, offset, value uint32) {
	wordAt(mem[ControlSize:], offset&uint32(len(mem)-ControlSize-1)&^(Alignment-1)).Store(value)
}
