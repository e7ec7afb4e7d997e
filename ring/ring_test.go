package ring_test

import (
	"bytes"
	"fmt"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kongring/kongring/ring"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newRing makes a ring on the heap, where the race detector sees it.
func newRing(tb testing.TB, capacity int) ([]byte, *ring.Producer, *ring.Consumer) {
	tb.Helper()
	mem := make([]byte, ring.Size(capacity))
	require.NoError(tb, ring.Format(mem))
	p, err := ring.NewProducer(mem)
	require.NoError(tb, err)
	c, err := ring.NewConsumer(mem)
	require.NoError(tb, err)
	return mem, p, c
}

// pattern is a payload of n bytes that differs with its number.
func pattern(number, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(number*31 + i*7)
	}
	return b
}

func TestLayoutIsWhatOtherLanguagesRead(t *testing.T) {
	var c ring.Control
	require.Equal(t, uintptr(ring.ControlSize), unsafe.Sizeof(c))
	require.Zero(t, unsafe.Offsetof(c.Consumed))
	require.Equal(t, uintptr(128), unsafe.Offsetof(c.Sleeping))
	require.Equal(t, uintptr(256), unsafe.Offsetof(c.Starved))
	start := uint32(ring.Start)
	require.Zero(t, start%ring.Alignment)
	require.Less(t, -start, uint32(ring.MinCapacity), "the first lap must cross the wrap")
}

func TestGeometryIsChecked(t *testing.T) {
	for _, n := range []int{0, 1, ring.ControlSize, ring.ControlSize + 512, ring.ControlSize + 1025, ring.ControlSize + 3<<10} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			require.ErrorIs(t, ring.Format(make([]byte, n)), ring.ErrGeometry)
			_, err := ring.NewProducer(make([]byte, n))
			require.ErrorIs(t, err, ring.ErrGeometry)
			_, err = ring.NewConsumer(make([]byte, n))
			require.ErrorIs(t, err, ring.ErrGeometry)
		})
	}
	mem := make([]byte, ring.Size(1024)+4)
	require.ErrorIs(t, ring.Format(mem[4:]), ring.ErrGeometry, "misaligned")
	require.PanicsWithValue(t, "ring: capacity 1000: want a power of two from 1024 to 268435456",
		func() { ring.Size(1000) })
}

func TestFramesComeOutAsTheyWentIn(t *testing.T) {
	_, p, c := newRing(t, 1024)
	for i := range 5000 { // many laps, and the wrap of the position
		payload := pattern(i, i%(p.MaxPayload()+1))
		ok, err := p.Write(payload, i%3 == 0)
		require.NoError(t, err)
		require.True(t, ok)
		f, ok, err := c.Read(nil)
		require.NoError(t, err)
		require.True(t, ok)
		require.True(t, bytes.Equal(payload, f.Payload), "frame %d", i)
		require.Equal(t, i%3 == 0, f.More)
		require.False(t, c.Ready())
	}
}

// I4: the consumer polls the word behind a frame from its commit on, and a plain
// store to it is a race, if only of one 0 with another.
func TestClearingAheadSparesThePolledWord(t *testing.T) {
	_, p, c := newRing(t, 4096)
	for i := range 1000 {
		n := i * 7919 % 1000
		ok, err := p.Write(pattern(i, n), false)
		require.NoError(t, err)
		require.True(t, ok)
		require.EqualValues(t, 1, ring.ClearAhead(p, uint32(n)), "frame %d of %d bytes", i, n)
		f, ok, err := c.Read(nil)
		require.NoError(t, err)
		require.True(t, ok)
		require.True(t, bytes.Equal(pattern(i, n), f.Payload), "frame %d", i)
	}
}

func TestReadReusesTheBuffer(t *testing.T) {
	_, p, c := newRing(t, 1024)
	buf := make([]byte, 0, 64)
	for range 10 {
		_, err := p.Write(pattern(1, 40), false)
		require.NoError(t, err)
		f, ok, err := c.Read(buf)
		require.NoError(t, err)
		require.True(t, ok)
		require.Same(t, &buf[:1][0], &f.Payload[0])
	}
}

func TestFullRingChangesNothing(t *testing.T) {
	_, p, c := newRing(t, 1024)
	n := 0
	for {
		ok, err := p.Write(pattern(n, 100), false)
		require.NoError(t, err)
		if !ok {
			break
		}
		n++
	}
	require.Greater(t, n, 6)
	for i := range n {
		f, ok, err := c.Read(nil)
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, pattern(i, 100), f.Payload)
	}
	_, ok, err := c.Read(nil)
	require.NoError(t, err)
	require.False(t, ok)
	ok, err = p.Write(pattern(n, 100), false)
	require.NoError(t, err)
	require.True(t, ok)
}

// I6: whatever was sent before, a producer whose frames were all read has room
// for any frame, although the consumer publishes lazily.
func TestAllReadMeansRoom(t *testing.T) {
	for first := 0; first <= ring.MaxPayload(1024); first += 4 {
		_, p, c := newRing(t, 1024)
		for i := range 40 {
			for _, n := range []int{first, (first + i*8) % p.MaxPayload(), p.MaxPayload()} {
				ok, err := p.Write(pattern(i, n), false)
				require.NoError(t, err)
				require.True(t, ok, "first %d, frame %d of %d bytes", first, i, n)
				_, ok, err = c.Read(nil)
				require.NoError(t, err)
				require.True(t, ok)
			}
		}
	}
}

func TestTooLongAFramePanics(t *testing.T) {
	_, p, _ := newRing(t, 1024)
	require.PanicsWithValue(t, "ring: frame of 253 bytes: the limit is 252",
		func() { _, _ = p.Write(make([]byte, 253), false) })
}

func TestSleepHandshake(t *testing.T) {
	_, p, c := newRing(t, 1024)
	require.False(t, p.ClaimWake(), "nobody sleeps")
	require.True(t, c.Sleep())
	require.True(t, p.ClaimWake())
	require.False(t, p.ClaimWake(), "the duty to ring is given once")
	c.Awake()

	_, err := p.Write(nil, false)
	require.NoError(t, err)
	require.False(t, c.Sleep(), "a frame is there")
	require.False(t, p.ClaimWake())
}

func TestRoomHandshake(t *testing.T) {
	_, p, c := newRing(t, 1024)
	require.False(t, p.Wait(100), "there is room")
	require.False(t, c.ClaimWake())
	for {
		ok, err := p.Write(pattern(0, 100), false)
		require.NoError(t, err)
		if !ok {
			break
		}
	}
	require.True(t, p.Wait(100))
	for c.Ready() {
		_, _, err := c.Read(nil)
		require.NoError(t, err)
	}
	require.True(t, c.ClaimWake())
	require.False(t, c.ClaimWake(), "the duty to ring is given once")
	ok, err := p.Write(pattern(0, 100), false)
	require.NoError(t, err)
	require.True(t, ok)
}
