package doctor

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// kernel is a machine with the given files.
func kernel(t *testing.T, files map[string]string) machine {
	t.Helper()
	m := machine{t.TempDir()}
	for name, text := range files {
		path := filepath.Join(m.root, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	return m
}

func TestMachine(t *testing.T) {
	const cpu, group = "/sys/devices/system/cpu/", "/sys/fs/cgroup/"
	for name, tc := range map[string]struct {
		files        map[string]string
		level        Level
		check, found string
	}{
		"seccomp":         {map[string]string{"/proc/self/status": "Name:\tx\nSeccomp:\t2\n"}, OK, "seccomp", "a filter is on"},
		"no seccomp":      {map[string]string{"/proc/self/status": "Seccomp:\t0\n"}, OK, "seccomp", "no filter"},
		"hidepid":         {map[string]string{"/proc/mounts": "proc /proc proc rw,hidepid=2 0 0\n"}, Warning, "proc", "hides"},
		"hidepid by name": {map[string]string{"/proc/mounts": "proc /proc proc rw,hidepid=invisible 0 0\n"}, Warning, "proc", "hides"},
		"hidepid off":     {map[string]string{"/proc/mounts": "proc /proc proc rw,hidepid=off 0 0\n"}, OK, "proc", "shows"},
		"quota":           {map[string]string{group + "cpu.max": "150000 100000\n"}, Warning, "quota", "1.5 cores"},
		"quota of v1":     {map[string]string{group + "cpu/cpu.cfs_quota_us": "50000", group + "cpu/cpu.cfs_period_us": "100000"}, Warning, "quota", "0.5 cores"},
		"fewer cores":     {map[string]string{cpu + "online": "0-4095"}, Note, "affinity", "of 4096 cores"},
		"deep sleep": {map[string]string{
			cpu + "cpu0/cpuidle/state0/latency": "0", cpu + "cpu0/cpuidle/state1/latency": "133", cpu + "cpu0/cpuidle/state1/name": "C6",
		}, Note, "idle", "133 µs to wake (C6)"},
		"deep sleep forbidden": {map[string]string{
			cpu + "cpu0/cpuidle/state0/latency": "2", cpu + "cpu0/cpuidle/state1/latency": "133", cpu + "cpu0/cpuidle/state1/disable": "1",
		}, OK, "idle", "within 2 µs"},
	} {
		t.Run(name, func(t *testing.T) {
			r := &report{}
			kernel(t, tc.files).check(r)
			for _, f := range r.findings {
				if f.Check == tc.check {
					require.Equal(t, tc.level, f.Level, f.Found)
					require.Contains(t, f.Found, tc.found)
					return
				}
			}
			require.Fail(t, "not found", "%v", r.findings)
		})
	}
	for _, full := range []string{"max 100000", "400000 100000", "", "0 0", "x y"} {
		r := &report{}
		kernel(t, map[string]string{group + "cpu.max": full}).cpus(r)
		for _, f := range r.findings {
			require.NotEqual(t, "quota", f.Check, full)
		}
	}
}

func TestNginxProcesses(t *testing.T) {
	prefix := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(prefix, "pids"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(prefix, "pids/nginx.pid"), []byte("10\n"), 0o644))
	s := settings{"prefix": prefix, "nginx_worker_processes": "2"}
	files := map[string]string{
		"/proc/10/comm": "nginx\n", "/proc/10/task/10/children": "11 12 ",
		"/proc/10/limits":    "Limit  Soft  Hard\nMax open files            1024                 4096                 files\n",
		"/proc/11/status":    "Cpus_allowed_list:\t1\n",
		"/proc/12/status":    "Cpus_allowed_list:\t1\n",
		"/proc/self/limits":  "Max open files            50000 50000 files\n",
		"/proc/self/status":  "",
		"/proc/10/something": "",
	}
	text := func() string {
		r := &report{}
		m := kernel(t, files)
		s.files(m, r)
		s.bound(m, r)
		var b strings.Builder
		require.NoError(t, r.print(&b))
		return b.String()
	}
	require.Contains(t, text(), "Kong may have 1024 open files")
	require.Contains(t, text(), "2 processes of nginx are bound to core 1")
	files["/proc/12/status"] = "Cpus_allowed_list:\t2\n"
	require.Contains(t, text(), "nginx runs as 10, with 2 processes")
	files["/proc/10/comm"] = "bash"
	require.Contains(t, text(), "a process started here may have 50000")
	require.Contains(t, text(), "it does not run")
}
