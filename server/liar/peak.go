package liar

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// PeakMemory is the most memory in bytes that a process had, as the kernel
// counts it (VmHWM). The test ends where the process is gone.
func PeakMemory(t testing.TB, pid int) uint64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(text), "VmHWM:")
	require.True(t, found, "process %d has no memory: it ended", pid)
	var kb uint64
	_, err = fmt.Sscan(rest, &kb)
	require.NoError(t, err)
	return kb << 10
}
