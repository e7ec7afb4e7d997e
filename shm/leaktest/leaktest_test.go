package leaktest_test

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kongring/kongring/shm/leaktest"
)

// leak names what TestLeak forgets in a process of its own.
const leak = "KONGRING_TEST_LEAK"

func TestMain(m *testing.M) { leaktest.VerifyTestMain(m) }

func TestLeak(t *testing.T) {
	if os.Getenv(leak) == "" {
		t.Skip("the other tests run this one in a process of its own")
	}
	if os.Getenv(leak+"_CHECK") != "" {
		leaktest.Check(t)
	}
	leaktest.SetPatience(10 * time.Millisecond)
	switch os.Getenv(leak) {
	case "nothing":
	case "goroutine":
		go func() { select {} }()
	case "descriptor":
		_, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		require.NoError(t, err)
	case "mapping":
		fd, err := unix.MemfdCreate("forgotten", unix.MFD_CLOEXEC)
		require.NoError(t, err)
		require.NoError(t, unix.Ftruncate(fd, 4096))
		_, err = unix.Mmap(fd, 0, 4096, unix.PROT_READ, unix.MAP_SHARED)
		require.NoError(t, err)
		require.NoError(t, unix.Close(fd))
	}
}

func TestLeaksAreFound(t *testing.T) {
	for _, tc := range []struct {
		leaks, says string
	}{
		{"goroutine", "found unexpected goroutines"},
		{"descriptor", "/dev/null"},
		{"mapping", "/memfd:forgotten"},
	} {
		t.Run(tc.leaks, func(t *testing.T) {
			out, err := run(t, leak+"="+tc.leaks)
			require.Error(t, err, out)
			require.Contains(t, out, "leaktest: ")
			require.Contains(t, out, tc.says)
		})
	}
}

func TestCheckFailsTheTest(t *testing.T) {
	out, err := run(t, leak+"=mapping", leak+"_CHECK=1")
	require.Error(t, err, out)
	require.Contains(t, out, "--- FAIL: TestLeak")
	require.Contains(t, out, "/memfd:forgotten")
}

func TestNothingLeftIsNoFailure(t *testing.T) {
	out, err := run(t, leak+"=nothing", leak+"_CHECK=1")
	require.NoError(t, err, out)
}

func run(t *testing.T, env ...string) (string, error) {
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(exe, "-test.run=^TestLeak$", "-test.count=1")
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}
