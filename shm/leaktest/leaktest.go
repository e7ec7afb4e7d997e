// Package leaktest lets a test binary fail that holds more at its end than at
// its start: goroutines, open descriptors, mappings of memfds.
package leaktest

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// patience is how long something may take that is going away by itself.
var patience = 5 * time.Second

// VerifyTestMain runs the tests of m and exits, with a failure when they leave
// something behind.
func VerifyTestMain(m *testing.M) {
	before, err := held()
	if err != nil {
		fail(err)
	}
	code := m.Run()
	if code == 0 {
		if err := errors.Join(goleak.Find(), left(before)); err != nil {
			fail(err)
		}
	}
	os.Exit(code)
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "leaktest:", err)
	os.Exit(1)
}

// Check fails t when descriptors or mappings are left at its end that were not
// there when Check was called. Meanwhile nothing is collected: a collection
// closes forgotten files, which hides that they were forgotten.
func Check(t testing.TB) {
	t.Helper()
	before, err := held()
	require.NoError(t, err)
	percent := debug.SetGCPercent(-1)
	t.Cleanup(func() {
		defer debug.SetGCPercent(percent)
		require.NoError(t, left(before))
	})
}

// left waits until nothing is held that before does not hold, and says what
// still is when that does not happen.
func left(before map[string]bool) error {
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		now, err := held()
		if err != nil {
			return err
		}
		maps.DeleteFunc(now, func(what string, _ bool) bool { return before[what] })
		if len(now) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("left behind: %s", strings.Join(slices.Sorted(maps.Keys(now)), ", "))
		}
	}
}

// held lists the descriptors and the memfd mappings of this process.
func held() (map[string]bool, error) {
	// The poller opens descriptors of its own when it is first needed.
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	_, _ = r.Close(), w.Close()

	what := map[string]bool{}
	if err := descriptors(what); err != nil {
		return nil, err
	}
	return what, mappings(what)
}

func descriptors(what map[string]bool) error {
	const dir = "/proc/self/fd"
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		target, err := os.Readlink(filepath.Join(dir, e.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue // the descriptor that read the directory
		}
		if err != nil {
			return err
		}
		what[fmt.Sprintf("descriptor %s %s", e.Name(), target)] = true
	}
	return nil
}

func mappings(what map[string]bool) error {
	file, err := os.Open("/proc/self/maps")
	if err != nil {
		return err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "/memfd:") {
			what["mapping "+lines.Text()] = true
		}
	}
	return lines.Err()
}
