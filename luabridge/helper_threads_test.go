package luabridge

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// An edit replaces a text that is in a file of the folder helper once.
type edit struct{ file, old, new string }

// helperFiles copies the helper and helper/threads.c, edited, and gives the
// folder.
func helperFiles(t *testing.T, edits ...edit) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"kongring.c", "kongring_layout.h", "threads.c"} {
		text, err := os.ReadFile(filepath.Join("helper", name))
		require.NoError(t, err)
		for _, e := range edits {
			if e.file == name {
				require.Equal(t, 1, strings.Count(string(text), e.old), "%s: %s", name, e.old)
				text = []byte(strings.Replace(string(text), e.old, e.new, 1))
			}
		}
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), text, 0o600))
	}
	return dir
}

// requireTool skips the test where a program is missing.
func requireTool(t *testing.T, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skip("skipped: no " + name)
	}
}

// Two threads use the library as it is installed: no frame is damaged, and no
// wake-up lost. The arm64 library runs in an emulator, which does not reorder
// what its machine keeps in order.
func TestHelperThreads(t *testing.T) {
	for _, tc := range []struct {
		name, cc, frames string
		emulator         []string
	}{
		{"native", "cc", "200000", nil},
		{"aarch64", "aarch64-linux-gnu-gcc", "20000", []string{"qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			requireTool(t, tc.cc)
			if tc.emulator != nil {
				requireTool(t, tc.emulator[0])
			}
			dir := helperFiles(t)
			library, err := BuildHelper(tc.cc, dir)
			require.NoError(t, err)
			program := filepath.Join(dir, "threads")
			out, err := exec.Command(tc.cc, "-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-pthread", "-o", program,
				filepath.Join(dir, "threads.c"), library, "-Wl,-rpath,"+dir).CombinedOutput()
			if err != nil && tc.emulator != nil {
				t.Skipf("skipped: %s has no libc: %s", tc.cc, out)
			}
			require.NoError(t, err, "%s", out)

			args := append(tc.emulator, program, tc.frames)
			out, err = exec.Command(args[0], args[1:]...).CombinedOutput()
			require.NoError(t, err, "%s", out)
			t.Logf("%s", out)
		})
	}
}

// sanitized compiles threads.c and the helper for ThreadSanitizer, and skips the
// test where there is none.
func sanitized(t *testing.T, edits ...edit) func(frames string) (string, error) {
	t.Helper()
	requireTool(t, "cc")
	dir := helperFiles(t, edits...)
	program := filepath.Join(dir, "threads")
	run := func(frames string) (string, error) {
		cmd := exec.Command(program, frames)
		cmd.Env = append(os.Environ(), "TSAN_OPTIONS=halt_on_error=1")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	out, err := exec.Command("cc", "-std=c11", "-O1", "-g", "-Wno-tsan", "-fsanitize=thread", "-pthread", "-o", program,
		filepath.Join(dir, "threads.c"), filepath.Join(dir, "kongring.c")).CombinedOutput()
	if err != nil {
		t.Skipf("skipped: cc has no ThreadSanitizer: %s", out)
	}
	if out, err := run("0"); err != nil {
		t.Skipf("skipped: ThreadSanitizer does not run here: %s", out)
	}
	return run
}

// P1 and P2 order all plain bytes of a ring in which both sides only use the
// helper.
func TestHelperOrdersPlainBytes(t *testing.T) {
	run := sanitized(t)
	out, err := run("30000")
	require.NoError(t, err, "%s", out)
	require.NotContains(t, out, "WARNING")
	t.Log(out)
}

// The sanitizer sees each rule that is broken, in the helper or in its use.
func TestHelperBrokenOrderIsSeen(t *testing.T) {
	for _, tc := range []struct {
		name  string
		edits edit
	}{
		{"helper: store is relaxed", edit{"kongring.c",
			"__atomic_store_n(word, value, __ATOMIC_RELEASE)", "__atomic_store_n(word, value, __ATOMIC_RELAXED)"}},
		{"helper: load is relaxed", edit{"kongring.c", "__ATOMIC_ACQUIRE", "__ATOMIC_RELAXED"}},
		{"P1: frame is committed relaxed", edit{"threads.c",
			"kongring_store(word_at(at), KONGRING_COMMITTED | length)",
			"__atomic_store_n(word_at(at), KONGRING_COMMITTED | length, __ATOMIC_RELAXED)"}},
		{"P2: bytes are given back relaxed", edit{"threads.c",
			"kongring_store(&ring.control.consumed, read_pos)",
			"__atomic_store_n(&ring.control.consumed, read_pos, __ATOMIC_RELAXED)"}},
		{"P2: bytes are taken back relaxed", edit{"threads.c",
			"kongring_load(&ring.control.consumed)", "__atomic_load_n(&ring.control.consumed, __ATOMIC_RELAXED)"}},
		{"the polled word is cleared", edit{"threads.c", "from = write_pos + KONGRING_WORD_SIZE", "from = write_pos"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			run := sanitized(t, tc.edits)
			const runs = 50 // where the threads took turns all the time, nothing was there to see
			for i := range runs {
				if out, err := run("30000"); err != nil {
					require.Contains(t, out, "WARNING: ThreadSanitizer: data race")
					t.Logf("seen in run %d", i+1)
					return
				}
			}
			t.Fatalf("not seen in %d runs", runs)
		})
	}
}
