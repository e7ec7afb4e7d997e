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

// ticks gives the CPU time of all threads of a process.
func ticks(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	return parseStat(string(text))
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
