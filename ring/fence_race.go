//go:build race

package ring

import "sync/atomic"

// fence is a full fence under the race detector, whose runtime stores with
// release order only: enough for what it checks, too little for P3 and P4
// where the other side is a process of its own.
func fence() {
	var word atomic.Uint32
	word.Add(1)
}
