package interop

import (
	"errors"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kongring/kongring/ring"
)

// follow runs the side of rounds whose twin plays, as testdata/litmus.lua does.
func follow(h handshake, m *meeting, rounds int) (concluded int, err error) {
	jitter := xorshift(99)
	if err := m.meet(); err != nil {
		return 0, err
	}
	for range rounds {
		if err := m.meet(); err != nil {
			return concluded, err
		}
		for range 300 + jitter.below(64) { // the other side finds out how long it has to dawdle
			jitter.next()
		}
		mine, err := h.act()
		if err != nil {
			return concluded, err
		}
		word := uint32(0)
		if mine {
			word = 1
			concluded++
		}
		m.concluded.Store(word)
		if err := m.meet(); err != nil {
			return concluded, err
		}
		if err := h.settle(mine, false); err != nil {
			return concluded, err
		}
	}
	return concluded, nil
}

// onCPU binds this goroutine's thread to the nth processor that there is, where
// there are more, until the function that it gives is called.
func onCPU(t *testing.T, nth int) func() {
	t.Helper()
	var all, one unix.CPUSet
	require.NoError(t, unix.SchedGetaffinity(0, &all))
	runtime.LockOSThread()
	for cpu := 0; cpu < 8*len(all) && all.Count() > 1; cpu++ {
		if all.IsSet(cpu) {
			if nth == 0 {
				one.Set(cpu)
				require.NoError(t, unix.SchedSetaffinity(0, &one))
				break
			}
			nth--
		}
	}
	return func() {
		_ = unix.SchedSetaffinity(0, &all)
		runtime.UnlockOSThread()
	}
}

// The same handshakes, of P3 and P4, with Go on both sides, each thread on a core of its own.
func TestLitmusGoGo(t *testing.T) {
	rounds := 500_000
	if testing.Short() || raceEnabled {
		rounds = 50_000
	}
	for _, pair := range []string{"P3", "P4"} {
		t.Run(pair, func(t *testing.T) {
			seg := newSegment(t, 1, ring.MinCapacity)
			mine, err := sides[pair+" consumer"](seg.Region(0))
			require.NoError(t, err)
			theirs, err := sides[pair+" producer"](seg.Region(0))
			require.NoError(t, err)
			m := newMeeting(seg.Region(1))
			other := &meeting{mine: m.theirs, theirs: m.mine, concluded: m.concluded}

			concluded, ended := 0, make(chan error, 1)
			go func() {
				defer onCPU(t, 1)()
				var err error
				concluded, err = follow(theirs, other, rounds)
				ended <- err
			}()
			defer onCPU(t, 0)()
			s, err := play(mine, m, rounds, pair == "P3")
			require.NoError(t, errors.Join(err, <-ended))
			t.Logf("%s: %d rounds, %+v, the producer concluded %d", pair, rounds, s, concluded)
			require.Zero(t, s.Missed)
		})
	}
}
