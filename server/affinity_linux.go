package server

import (
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kongring/kongring/shm"
)

// Affinity binds what reads a session's ring, and with it the handlers that run
// there, to the processors next to the worker's: those that share its last
// cache and are not its own core, else its core's other threads. It says so for
// workers that are themselves bound to one processor (nginx's
// worker_cpu_affinity), and changes nothing for others. Off unless set: a bound
// thread of Go costs a hand-over between threads each time it wakes, so this is
// for machines with cores to spare, where the ring seldom sleeps.
func Affinity() Option {
	return func(o *options) error { o.affinity = true; return nil }
}

// near gives the processors that the server's side of a worker with this hello
// is bound to, none where it is not.
func (o *options) near(h shm.Hello) ([]int, error) {
	if !o.affinity || h.CPU == shm.CPUUnknown {
		return nil, nil
	}
	var allowed unix.CPUSet
	if err := unix.SchedGetaffinity(0, &allowed); err != nil {
		return nil, fmt.Errorf("read own processors: %w", err)
	}
	all, err := neighbours(os.DirFS("/sys/devices/system/cpu"), int(h.CPU))
	return slices.DeleteFunc(all, func(cpu int) bool { return !allowed.IsSet(cpu) }), err
}

// neighbours reads the topology below sys, the folder of the kernel's
// processors (Documentation/ABI/stable/sysfs-devices-system-cpu).
func neighbours(sys fs.FS, cpu int) ([]int, error) {
	dir := "cpu" + strconv.Itoa(cpu)
	core, err := readCPUs(sys, dir+"/topology/core_cpus_list")
	if err != nil {
		return nil, err
	}
	// The cache with the highest index is the last; not every machine has three.
	for index := 4; index >= 0; index-- {
		shared, err := readCPUs(sys, fmt.Sprintf("%s/cache/index%d/shared_cpu_list", dir, index))
		if err != nil {
			continue
		}
		shared = slices.DeleteFunc(shared, func(c int) bool { return slices.Contains(core, c) })
		if len(shared) > 0 {
			return shared, nil
		}
		break
	}
	return slices.DeleteFunc(core, func(c int) bool { return c == cpu }), nil
}

// readCPUs reads a list such as 0-3,8.
func readCPUs(sys fs.FS, path string) (cpus []int, err error) {
	text, err := fs.ReadFile(sys, path)
	if err != nil {
		return nil, err
	}
	for _, part := range strings.Split(strings.TrimSpace(string(text)), ",") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		from, err := strconv.Atoi(first)
		to, err2 := strconv.Atoi(last)
		if err != nil || err2 != nil || from < 0 || to < from || to >= maxCPUs {
			return nil, fmt.Errorf("%s: %q is no list of processors", path, text)
		}
		for cpu := from; cpu <= to; cpu++ {
			cpus = append(cpus, cpu)
		}
	}
	return cpus, nil
}

// maxCPUs is what a CPUSet holds.
const maxCPUs = 1024

// bind runs f on a thread that nothing else uses meanwhile and that is bound to
// these processors.
func bind(cpus []int, f func()) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, set unix.CPUSet
	err := unix.SchedGetaffinity(0, &before)
	for _, cpu := range cpus {
		set.Set(cpu)
	}
	if err == nil {
		err = unix.SchedSetaffinity(0, &set)
	}
	f()
	if err != nil {
		return fmt.Errorf("bind to processors %v: %w", cpus, err)
	}
	return unix.SchedSetaffinity(0, &before)
}
