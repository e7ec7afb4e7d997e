package metrics

import (
	"sync/atomic"

	"github.com/kongring/kongring/server/wire"
)

// Calls counts PDK calls by method and by how they were answered. A session has
// its own, so that no two fight over a cache line. Its methods may be called by
// any goroutine; a nil one counts nothing.
type Calls [len(wire.Methods)][Answers]atomic.Uint64

// Count counts a call. The method 0 is that of a message that only takes writes
// to the worker.
func (c *Calls) Count(id wire.MethodID, how Answer) {
	if c != nil {
		c[id][how].Add(1)
	}
}

// Methods is a sum of [Calls].
type Methods [len(wire.Methods)][Answers]uint64

// Add adds what calls have counted by now.
func (m *Methods) Add(calls *Calls) {
	if calls == nil {
		return
	}
	for id := range m {
		for how := range Answers {
			m[id][how] += calls[id][how].Load()
		}
	}
}
