package doctor

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kongring/kongring/server/wire"
	"github.com/kongring/kongring/shm"
)

// machine is where the kernel's files lie: /, or a copy of some in a test.
type machine struct{ root string }

// read gives the text of a file of the kernel, "" where it cannot be had.
func (m machine) read(path string) string {
	text, _ := os.ReadFile(filepath.Join(m.root, path))
	return strings.TrimSpace(string(text))
}

// word gives what stands behind a name at the start of a line.
func word(text, name string) string {
	for line := range strings.Lines(text) {
		if rest, found := strings.CutPrefix(line, name); found {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

// check looks at the machine, apart from any Kong.
func (m machine) check(r *report) {
	if runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
		r.add(Error, "processor", "use a machine with x86-64 or arm64", "%s: kongring does not know how it orders memory", runtime.GOARCH)
	}
	m.memory(r)
	m.processes(r)
	m.cpus(r)
	m.idle(r)
}

// memory makes a segment, as the server does: memfd, fallocate, seals, mapping.
func (m machine) memory(r *report) {
	filtered := word(m.read("/proc/self/status"), "Seccomp:") == "2"
	segment, err := shm.Create("kongring-doctor", wire.Version, 0, 4096)
	if err != nil {
		fix := "give it memory: a limit refuses it"
		if filtered || errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSYS) {
			fix = "let the seccomp profile, or the kernel, grant memfd_create, fcntl with F_ADD_SEALS, fallocate and mmap"
		}
		r.add(Warning, "memory", fix, "shared memory is refused, messages go over the socket, more slowly: %v", err)
	} else {
		_ = segment.Close()
		r.ok("memory", "memfd, seals and fallocate work")
	}
	if filtered {
		r.ok("seccomp", "a filter is on; it is what the other checks ran under")
	} else {
		r.ok("seccomp", "no filter")
	}
}

// processes looks at whether the server can see who started it.
func (m machine) processes(r *report) {
	for line := range strings.Lines(m.read("/proc/mounts")) {
		f := strings.Fields(line)
		if len(f) < 4 || f[1] != "/proc" || !strings.Contains(f[3], "hidepid=") || strings.Contains(f[3], "hidepid=0") || strings.Contains(f[3], "hidepid=off") {
			continue
		}
		r.add(Warning, "proc", "start the plugin servers with -watch-parent on, or mount /proc without hidepid",
			"/proc hides other users' processes: a server that Kong starts does not see that it is Kong")
		return
	}
	r.ok("proc", "/proc shows the processes")
}

// cpus looks at how much of the processors is to be had.
func (m machine) cpus(r *report) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		r.add(Warning, "affinity", "let the seccomp profile grant sched_getaffinity and sched_setaffinity", "sched_getaffinity: %v", err)
		return
	}
	all := len(ranges(m.read("/sys/devices/system/cpu/online")))
	if n := set.Count(); all > n {
		r.add(Note, "affinity", "let cpuset or taskset grant the cores that Kong's workers and the servers are to use", "%d of %d cores may be used here", n, all)
	} else {
		r.ok("affinity", "all %d cores may be used", n)
	}
	if quota := m.quota(); quota > 0 && quota < 2 {
		r.add(Warning, "quota", "grant 2 cores or more, or use cpusets: a side that the kernel stops lets the other wait",
			"the cgroup grants %.1f cores", quota)
	}
}

// quota is how many cores' time the cgroup grants, 0 for all.
func (m machine) quota() float64 {
	most, period, _ := strings.Cut(m.read("/sys/fs/cgroup/cpu.max"), " ")
	if most == "" {
		most, period = m.read("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"), m.read("/sys/fs/cgroup/cpu/cpu.cfs_period_us")
	}
	a, err1 := strconv.ParseFloat(most, 64)
	b, err2 := strconv.ParseFloat(period, 64)
	if err1 != nil || err2 != nil || a <= 0 || b <= 0 {
		return 0
	}
	return a / b
}

// deep is how long a core may take to wake up, in microseconds, before it shows
// beside the wake-up itself.
const deep = 20

// idle looks at how deep an idle core sleeps.
func (m machine) idle(r *report) {
	states, _ := filepath.Glob(filepath.Join(m.root, "/sys/devices/system/cpu/cpu0/cpuidle/state*"))
	worst, name := 0, ""
	for _, dir := range states {
		state := machine{dir}
		latency, err := strconv.Atoi(state.read("latency"))
		if err == nil && state.read("disable") != "1" && latency > worst {
			worst, name = latency, state.read("name")
		}
	}
	switch {
	case len(states) == 0:
		r.ok("idle", "the kernel lets no core sleep deeply, or the hypervisor decides")
	case worst > deep:
		r.add(Note, "idle", "cpupower idle-set -D "+strconv.Itoa(deep)+", if single requests are to be fast and power counts less",
			"an idle core takes up to %d µs to wake (%s)", worst, name)
	default:
		r.ok("idle", "an idle core wakes within %d µs", worst)
	}
}

// ranges gives the numbers of a list like 0-3,8.
func ranges(list string) (all []int) {
	for part := range strings.SplitSeq(list, ",") {
		first, last, more := strings.Cut(part, "-")
		a, err := strconv.Atoi(first)
		if !more {
			last = first
		}
		b, err2 := strconv.Atoi(last)
		for n := a; err == nil && err2 == nil && n <= b && n < a+4096; n++ {
			all = append(all, n)
		}
	}
	return all
}
