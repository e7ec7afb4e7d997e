package shm_test

import (
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/shm"
)

// Both ends of a mapped segment are watched: a byte too far is a fault, on the
// side that made it and on the side that attached.
func TestSegmentLiesBetweenGuards(t *testing.T) {
	h := goodHeader()
	attached, err := shm.Attach(forge(t, wire(&h), 6*4096, allSeals), app)
	require.NoError(t, err)
	defer attached.Close()
	for name, s := range map[string]*shm.Segment{"made": create(t, 4096, 8192), "attached": attached} {
		t.Run(name, func(t *testing.T) {
			first, last := s.Region(0), s.Region(s.Regions()-1)
			start := unsafe.Add(unsafe.Pointer(&first[0]), -shm.HeaderSize)
			end := unsafe.Add(unsafe.Pointer(&last[0]), len(last))
			require.False(t, faults(start))
			require.True(t, faults(unsafe.Add(start, -1)))
			require.False(t, faults(unsafe.Add(end, -1)))
			require.True(t, faults(end))
		})
	}
}

// faults tells whether a byte may not be read.
func faults(at unsafe.Pointer) (faulted bool) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() { faulted = recover() != nil }()
	_ = fmt.Sprint(*(*byte)(at))
	return false
}

// The guards go with the mapping.
func TestSegmentCloseTakesItsGuards(t *testing.T) {
	s, err := shm.Create("kongring-guarded", app, 1, 4096)
	require.NoError(t, err)
	guard := addressOf(s.Region(0)) - shm.HeaderSize - 1
	require.True(t, mapped(t, guard))
	require.NoError(t, s.Close())
	require.False(t, mapped(t, guard))
}

// mapped tells whether an address belongs to some mapping of this process.
func mapped(t *testing.T, address uintptr) bool {
	t.Helper()
	text, err := os.ReadFile("/proc/self/maps")
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		var from, to uintptr
		_, err := fmt.Sscanf(line, "%x-%x", &from, &to)
		require.NoError(t, err)
		if from <= address && address < to {
			return true
		}
	}
	return false
}
