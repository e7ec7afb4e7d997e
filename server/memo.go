package server

import (
	"bytes"

	"github.com/tinylib/msgp/msgp"

	"github.com/kongring/kongring/server/wire"
)

// memo is what an event knows without asking: values that came with it, and
// answers of its own calls. Its slices are used again for the next event.
type memo struct {
	known []known
	next  int      // where the next look starts: handlers ask in the same order
	turns int      // values asked for so far
	bytes []byte   // keys and values of answers
	long  [][]byte // answers that hold a long value each
	fold  []byte   // a key being folded
}

// known is one value.
type known struct {
	method     wire.MethodID
	key        []byte // the arguments
	value      []byte
	turn       int  // when it was first asked for, from 1; 0 if it never was
	prefetched bool // it came with the event
	forgotten  bool // not to be given: an own write may have changed it
}

// maxKnown bounds the values that an event remembers.
const maxKnown = 128

// keepBytes bounds the memory that an event keeps for the next one.
const keepBytes = 64 << 10

func (m *memo) reset() {
	clear(m.known)
	m.known, m.next, m.turns = m.known[:0], 0, 0
	if cap(m.bytes) > keepBytes {
		m.bytes = nil
	}
	m.bytes = m.bytes[:0]
}

// key gives the arguments in the form in which they are compared: the name of a
// header in lower case. A name with "_" is left as it is: Kong takes "_" for "-"
// in some of its look-ups and not in others, so that two such spellings may find
// different headers. It is valid until the next call.
func (m *memo) key(id wire.MethodID, args []byte) []byte {
	if !wire.Methods[id].Fold {
		return args
	}
	const array = 3 // bytes of the array's header
	name, rest, err := msgp.ReadStringZC(args[array:])
	if err != nil || bytes.IndexByte(name, '_') >= 0 {
		return args
	}
	m.fold = append(m.fold[:0], args...)
	// The length in front of the name may look like a letter.
	end := len(args) - len(rest)
	for i := end - len(name); i < end; i++ {
		if c := m.fold[i]; 'A' <= c && c <= 'Z' {
			m.fold[i] = c + 'a' - 'A'
		}
	}
	return m.fold
}

// find gives the value of a getter, nil if it is not known.
func (m *memo) find(id wire.MethodID, key []byte) *known {
	for i := range m.known {
		at := m.next + i
		if at >= len(m.known) {
			at -= len(m.known)
		}
		k := &m.known[at]
		if k.method == id && !k.forgotten && bytes.Equal(k.key, key) {
			m.next = at + 1
			m.ask(k)
			return k
		}
	}
	return nil
}

func (m *memo) ask(k *known) {
	if k.turn == 0 {
		m.turns++
		k.turn = m.turns
	}
}

// learn remembers that a getter was asked for and, to give it again, its answer.
// key and value are copied, except for a value of more than keepBytes: that
// stays as it is until shed.
func (m *memo) learn(id wire.MethodID, key, value []byte, again bool) {
	if len(m.known) >= maxKnown {
		return
	}
	key = m.copy(key)
	if len(value) <= keepBytes {
		value = m.copy(value)
	}
	m.known = append(m.known, known{method: id, key: key, value: value, forgotten: !again})
	m.ask(&m.known[len(m.known)-1])
}

// copy gives a copy that lasts as long as the event.
func (m *memo) copy(b []byte) []byte {
	start := len(m.bytes)
	m.bytes = append(m.bytes, b...)
	return m.bytes[start:len(m.bytes):len(m.bytes)]
}

// shed gives up the long values, with all that is known.
func (m *memo) shed() {
	if len(m.long) == 0 {
		return
	}
	for i := range m.long {
		giveLong(m.long[i])
	}
	clear(m.long)
	m.long = m.long[:0]
	m.reset()
}

// forget drops what a write may have changed.
func (m *memo) forget(changed wire.Facts) {
	if changed == 0 {
		return
	}
	for i := range m.known {
		if wire.Methods[m.known[i].method].Reads&changed != 0 {
			m.known[i].forgotten = true
		}
	}
}

// unused counts the values that came with the event and were not asked for.
func (m *memo) unused() (n uint64) {
	for i := range m.known {
		if m.known[i].prefetched && m.known[i].turn == 0 {
			n++
		}
	}
	return n
}
