package ring_test

import (
	"bytes"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/ring"
)

// Two goroutines, a small ring, sleeps forced on both sides: every frame comes
// out once, whole and in order, and nobody sleeps for ever. Under -race this
// also proves that the plain accesses are ordered by the tagged ones.
func TestStressExactlyOnce(t *testing.T) {
	frames := 300_000
	if testing.Short() || raceEnabled {
		frames = 30_000
	}
	_, p, c := newRing(t, 4096)
	toConsumer, toProducer := make(chan struct{}, 1), make(chan struct{}, 1)
	sleeps, waits := 0, 0

	done := make(chan error, 1)
	go func() { done <- produce(p, frames, toConsumer, toProducer, &waits) }()

	buf := make([]byte, 0, c.MaxPayload())
	for i := 0; i < frames; {
		f, ok, err := c.Read(buf)
		require.NoError(t, err)
		switch {
		case ok:
			require.True(t, bytes.Equal(pattern(i, size(i)), f.Payload), "frame %d", i)
			i++
		case c.Spin(i % 7):
		case c.Sleep():
			sleeps++
			if c.ClaimWake() {
				ring1(toProducer)
			}
			<-toConsumer
			c.Awake()
		}
		if c.ClaimWake() {
			ring1(toProducer)
		}
	}
	require.NoError(t, <-done)
	require.Positive(t, sleeps)
	require.Positive(t, waits)
	t.Logf("%d frames, %d sleeps, %d waits for room", frames, sleeps, waits)
}

func size(i int) int { return i * 7919 % 1000 }

func produce(p *ring.Producer, frames int, toConsumer, toProducer chan struct{}, waits *int) error {
	for i := 0; i < frames; {
		ok, err := p.Write(pattern(i, size(i)), false)
		if err != nil {
			return err
		}
		if ok {
			i++
			if i%11 == 0 {
				runtime.Gosched() // lets the consumer find the ring empty
			}
		}
		if p.ClaimWake() {
			ring1(toConsumer)
		}
		if !ok && p.Wait(size(i)) {
			*waits++
			<-toProducer
		}
	}
	return nil
}

// ring1 rings a doorbell made of a channel: rings that nobody answered yet
// count as one, like an eventfd's.
func ring1(bell chan struct{}) {
	select {
	case bell <- struct{}{}:
	default:
	}
}
