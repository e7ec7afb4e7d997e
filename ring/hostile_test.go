package ring_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/ring"
)

// What a peer may have written where the next frame starts: each lie breaks one
// rule only, near the end of the buffer or, where that would break another one
// too, behind a frame at its front.
func TestLyingFramesAreCorrupt(t *testing.T) {
	const (
		capacity = 4096
		front    = 304 // offset behind a frame with 300 bytes of payload
	)
	end := uint32(ring.Start) & (capacity - 1)
	toEnd := capacity - end
	for _, tc := range []struct {
		name   string
		offset uint32
		word   uint32
	}{
		{"not committed", end, 5},
		{"flags without commit", end, ring.More},
		{"longer than a quarter", front, ring.Committed | capacity/4},
		{"longest length", front, ring.Committed | ring.LengthMask},
		{"past the end of the buffer", end, ring.Committed | toEnd},
		{"pad that stops short", end, ring.Committed | ring.Pad | (toEnd - 16)},
		{"pad longer than a frame", front, ring.Committed | ring.Pad | (capacity - front - ring.WordSize)},
		{"pad with nothing behind", end, ring.Committed | ring.Pad | (toEnd - ring.WordSize)},
		{"pad with more", end, ring.Committed | ring.Pad | ring.More | (toEnd - ring.WordSize)},
		{"everything set", end, 0xffffffff},
	} {
		t.Run(tc.name, func(t *testing.T) {
			mem, p, c := newRing(t, capacity)
			if tc.offset == front {
				ok, err := p.Write(pattern(0, 300), false) // does not fit before the end
				require.NoError(t, err)
				require.True(t, ok)
				_, ok, err = c.Read(nil)
				require.NoError(t, err)
				require.True(t, ok)
			}
			if tc.word&ring.Pad != 0 && tc.name != "pad with nothing behind" {
				ring.PokeWord(mem, 0, ring.Committed|4)
			}
			ring.PokeWord(mem, tc.offset, tc.word)
			require.True(t, c.Ready())
			_, ok, err := c.Read(nil)
			require.ErrorIs(t, err, ring.ErrCorrupt)
			require.False(t, ok)

			ring.PokeWord(mem, tc.offset, 0)
			_, err = p.Write([]byte("late"), false)
			require.NoError(t, err)
			require.True(t, c.Ready(), "a waiter must not sleep on a dead ring")
			_, _, again := c.Read(nil)
			require.ErrorIs(t, again, ring.ErrCorrupt, "the error stays")
		})
	}
}

func TestPadBehindPadIsCorrupt(t *testing.T) {
	const capacity = 4096
	mem, _, c := newRing(t, capacity)
	start := uint32(ring.Start) & (capacity - 1)
	ring.PokeWord(mem, start, ring.Committed|ring.Pad|(capacity-start-ring.WordSize))
	ring.PokeWord(mem, 0, ring.Committed|ring.Pad|(64-ring.WordSize))
	_, _, err := c.Read(nil)
	require.ErrorIs(t, err, ring.ErrCorrupt)
}

func TestLyingConsumerIsCorrupt(t *testing.T) {
	start := uint32(ring.Start)
	for _, tc := range []struct {
		name     string
		consumed uint32
	}{
		{"ahead of the producer", start + 4096},
		{"behind what it gave back", start - 8},
		{"half way round", start + 1<<31},
		{"not aligned", start + 4},
	} {
		t.Run(tc.name, func(t *testing.T) {
			mem, p, _ := newRing(t, 1024)
			ring.ControlAt(mem).Consumed.Store(tc.consumed)
			var err error
			for range 100 {
				var ok bool
				if ok, err = p.Write(pattern(0, 100), false); err != nil || !ok {
					break
				}
			}
			require.ErrorIs(t, err, ring.ErrCorrupt)
			require.False(t, p.Wait(100), "nothing to wait for on a dead ring")
		})
	}
}

// FuzzHostilePeer lets the input drive both handles and poke any word of the
// shared memory between two calls. Nothing may panic; as long as nothing was
// poked, what comes out is what went in.
func FuzzHostilePeer(f *testing.F) {
	f.Add([]byte{0, 10, 0, 200, 1, 1, 0, 252, 1})
	f.Add([]byte{0, 90, 2, 3, 0xff, 0xff, 0xff, 0xff, 1, 0, 1})
	f.Add([]byte{0, 252, 0, 252, 0, 252, 0, 252, 3, 9, 1, 1, 1, 1, 0, 77, 1})
	f.Fuzz(func(t *testing.T, script []byte) {
		mem, p, c := newRing(t, 1024)
		var want [][]byte
		poked := false
		next := func() (b byte) {
			if len(script) > 0 {
				b, script = script[0], script[1:]
			}
			return b
		}
		buf := make([]byte, 0, c.MaxPayload())
		for step := 0; len(script) > 0; step++ {
			switch op := next(); op % 6 {
			case 0:
				payload := pattern(step, int(next())%(p.MaxPayload()+1))
				ok, err := p.Write(payload, false)
				if ok {
					want = append(want, payload)
				}
				require.True(t, err == nil || poked)
			case 1:
				frame, ok, err := c.Read(buf)
				if poked {
					require.LessOrEqual(t, len(frame.Payload), c.MaxPayload())
					continue
				}
				require.NoError(t, err)
				require.Equal(t, len(want) > 0, ok)
				if ok {
					require.Equal(t, want[0], frame.Payload)
					want = want[1:]
				}
			case 2, 3:
				poked = true
				value := uint32(next()) | uint32(next())<<8 | uint32(next())<<16 | uint32(next())<<24
				if op%6 == 2 {
					ring.PokeWord(mem, uint32(next())<<3|uint32(next())<<5, value)
				} else {
					ctl := ring.ControlAt(mem)
					ctl.Consumed.Store(value)
					ctl.Sleeping.Store(value >> 8)
					ctl.Starved.Store(value >> 16)
				}
			case 4:
				if c.Sleep() {
					c.Awake()
				}
				c.Spin(3)
				p.Wait(int(next()) % (p.MaxPayload() + 1))
			case 5:
				p.ClaimWake()
				c.ClaimWake()
			}
		}
	})
}
