package suite

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// usPerTick is USER_HZ, 100 on every architecture that Go runs on.
const usPerTick = 1e4

// process is what the kernel counted of one so far.
type process struct {
	ticks    int64 // CPU time of all its threads, those that ended included
	switches int64 // of context, of the threads that it has now
}

func (p process) since(before process) process {
	return process{p.ticks - before.ticks, p.switches - before.switches}
}

func lookAt(pid int) (p process, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return p, err
	}
	if p.ticks, err = parseStat(string(text)); err != nil {
		return p, err
	}
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	for _, path := range threads {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		p.switches += statusNumber(string(text), "voluntary_ctxt_switches") +
			statusNumber(string(text), "nonvoluntary_ctxt_switches")
	}
	return p, err
}

// statusNumber gives a number out of the text of /proc/PID/status; 0 if it is
// not there.
func statusNumber(text, key string) int64 {
	for line := range strings.Lines(text) {
		if name, value, _ := strings.Cut(line, ":"); name == key {
			number, _, _ := strings.Cut(strings.TrimSpace(value), " ")
			n, _ := strconv.ParseInt(number, 10, 64)
			return n
		}
	}
	return 0
}

// parseStat reads user plus system time from the text of /proc/PID/stat. The
// second field is the command in brackets, which may contain anything.
func parseStat(text string) (int64, error) {
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("read stat: %d fields behind the command", len(fields))
	}
	user, err := strconv.ParseInt(fields[11], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read stat: %w", err)
	}
	system, err := strconv.ParseInt(fields[12], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read stat: %w", err)
	}
	return user + system, nil
}

// suspects are names of processes that benchmarks, tests and the demo start.
var suspects = []string{"callserver", "examples", "luajit", "nginx", "wrk"}

// strays lists processes that would disturb, as "name (pid)".
func strays() (list []string) {
	paths, _ := filepath.Glob("/proc/[0-9]*/comm")
	for _, path := range paths {
		text, _ := os.ReadFile(path) // it may have ended meanwhile
		if name := strings.TrimSpace(string(text)); slices.Contains(suspects, name) {
			list = append(list, fmt.Sprintf("%s (%s)", name, filepath.Base(filepath.Dir(path))))
		}
	}
	return list
}
