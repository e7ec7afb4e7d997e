package server

import (
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/ring"
	"github.com/kongring/kongring/server/wire"
)

// Writers fill the ring and wait for room in it. The other side reads what is
// there, and wakes nobody but for an announcement that it finds: a lost one
// leaves a writer behind. In rounds, since a later write makes it good.
func TestWritersThatWaitAreWoken(t *testing.T) {
	rounds := 8000
	if testing.Short() {
		rounds = 2000
	}
	for _, sizes := range [][]int{{240}, {240, 20}, {230, 100, 5}} {
		wakeWriters(t, rounds, sizes)
	}
}

func wakeWriters(t *testing.T, rounds int, sizes []int) {
	const each = 6 // frames a round: more than the ring holds
	r, err := newRings(1, ring.MinCapacity)
	require.NoError(t, err)
	in, err := ring.NewConsumer(r.segment.Region(wire.RegionToWorker))
	require.NoError(t, err)

	var begin []chan struct{}
	ended := make(chan error, len(sizes))
	for _, size := range sizes {
		start := make(chan struct{}, 1)
		begin = append(begin, start)
		go func() {
			w, frame := make(waiter, 1), make([]byte, size)
			var err error
			for range start {
				for range each {
					if err == nil {
						err = r.writeFrame(frame, false, w, func() error { return nil })
					}
				}
			}
			ended <- err
		}()
	}
	buf := make([]byte, 0, in.MaxPayload())
	for round := range rounds {
		for _, c := range begin {
			c <- struct{}{}
		}
		deadline := time.Now().Add(20 * time.Second)
		for left, idle := each*len(sizes), 0; left > 0; {
			_, ok, err := in.Read(buf)
			require.NoError(t, err)
			if ok {
				left, idle = left-1, 0
			} else if in.Sleep() {
				in.Awake()
				if idle++; idle%64 == 0 {
					runtime.Gosched()
				}
			}
			if in.ClaimWake() {
				r.wakeWriters()
			}
			if idle > 0 && idle%1024 == 0 && time.Now().After(deadline) {
				r.shutDown() // ends the writers' waits
				require.FailNow(t, "a writer waits in vain", "round %d, sizes %v, %d frames left", round, sizes, left)
			}
		}
	}
	for _, c := range begin {
		close(c)
	}
	for range sizes {
		require.NoError(t, <-ended)
	}
	r.shutDown()
	require.NoError(t, r.close())
}
