package liar

import (
	"os"
	"strconv"
	"testing"
)

// Goal is the number of lies that a test tells: few, or many where
// KONGRING_HOSTILE is set. KONGRING_HOSTILE=N makes it N hundredths of many; with
// -short few are fewer.
func Goal(t testing.TB, few, many uint64) uint64 {
	if text := os.Getenv("KONGRING_HOSTILE"); text != "" {
		percent, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			t.Fatalf("KONGRING_HOSTILE: %v", err)
		}
		return many * percent / 100
	}
	if testing.Short() {
		return few / 4
	}
	return few
}
