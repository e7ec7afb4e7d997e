package server_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kongring/kongring/server"
	"github.com/kongring/kongring/server/wire"
	"github.com/kongring/kongring/shm"
)

// The reader of a bound worker runs on a thread that is bound beside it; for a
// worker that is not bound, and after the session's end, there is none.
func TestAffinity(t *testing.T) {
	var all unix.CPUSet
	require.NoError(t, unix.SchedGetaffinity(0, &all))
	if !all.IsSet(0) || !all.IsSet(1) {
		t.Skip("skipped: processors 0 and 1 are not both this process's")
	}
	own := boundTo(t, "self")
	others := func() (bound []string) {
		tasks, err := filepath.Glob("/proc/self/task/*")
		require.NoError(t, err)
		for _, task := range tasks {
			if list := boundTo(t, "self/task/"+filepath.Base(task)); list != "" && list != own {
				bound = append(bound, list)
			}
		}
		return bound
	}
	_, socket := start(t, server.Affinity(), server.WithPlugin("p", func() interface{} { return &scripted{} }, "0.1", 1))
	dial := func(cpu uint32) *shm.Attachment {
		a, err := shm.Dial(socket, shm.Hello{Kind: shm.HelloAttach, App: wire.Version, CPU: cpu}, patience)
		require.NoError(t, err)
		return a
	}

	free := dial(shm.CPUUnknown)
	bound := dial(0)
	require.Eventually(t, func() bool { return len(others()) == 1 }, patience, time.Millisecond)
	list := others()[0]
	require.False(t, list == "0" || strings.HasPrefix(list, "0-") || strings.HasPrefix(list, "0,"), "bound to %s", list)
	require.NoError(t, bound.Close())
	require.Eventually(t, func() bool { return len(others()) == 0 }, patience, time.Millisecond)
	require.NoError(t, free.Close())
}

// boundTo gives the processors of a thread as the kernel lists them, "" when it
// has ended.
func boundTo(t *testing.T, thread string) string {
	t.Helper()
	status, err := os.ReadFile("/proc/" + thread + "/status")
	if err != nil {
		return ""
	}
	_, rest, ok := strings.Cut(string(status), "\nCpus_allowed_list:")
	require.True(t, ok)
	list, _, _ := strings.Cut(rest, "\n")
	return strings.TrimSpace(list)
}
