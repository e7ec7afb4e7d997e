package chaos

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// patience bounds every wait for a state.
const patience = 30 * time.Second

// processesOf gives the processes whose command line names a folder.
func processesOf(dir string) (pids []int) {
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range lines {
		text, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(text, []byte(dir+"/")) {
			continue // gone since, or another's
		}
		pid, err := strconv.Atoi(strings.Split(path, "/")[2])
		if err == nil && pid != os.Getpid() {
			pids = append(pids, pid)
		}
	}
	return pids
}

// children counts the children of a process.
func children(pid int) (int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	return len(strings.Fields(string(text))), err
}

// descriptors counts a process's descriptors by what they are; TCP connections,
// which belong to clients and upstreams, are left out.
func descriptors(pid int) (map[string]int, error) {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	list, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	unixes := unixSockets()
	counts := map[string]int{}
	for _, entry := range list {
		target, err := os.Readlink(filepath.Join(dir, entry.Name()))
		if err != nil {
			continue // closed since
		}
		inode, isSocket := strings.CutPrefix(target, "socket:")
		switch {
		case isSocket && !unixes[strings.Trim(inode, "[]")]:
		case isSocket:
			counts["unix socket"]++
		case strings.HasPrefix(target, "/memfd:"):
			counts["memfd"]++
		case strings.HasPrefix(target, "/"):
			counts["file"]++
		case strings.HasPrefix(target, "pipe:"):
			counts["pipe"]++
		default: // anon_inode: and what it is
			counts[target]++
		}
	}
	return counts, nil
}

// unixSockets gives the inodes of all Unix sockets.
func unixSockets() map[string]bool {
	text, _ := os.ReadFile("/proc/net/unix")
	inodes := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) >= 7 {
			inodes[fields[6]] = true
		}
	}
	return inodes
}

// segments counts the mappings of shared segments in a process.
func segments(pid int) (int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	return strings.Count(string(text), "/memfd:kongring-"), err
}

// openFiles gives the highest descriptor of a process, and one more.
func openFiles(pid int) (most uint64, err error) {
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	for _, entry := range list {
		if n, err := strconv.ParseUint(entry.Name(), 10, 64); err == nil {
			most = max(most, n+1)
		}
	}
	return most, err
}

// lower lowers a soft limit of a process; the function that it gives sets it back,
// where the process still is.
func lower(pid, resource int, to uint64) (undo func(), err error) {
	var was unix.Rlimit
	if err := unix.Prlimit(pid, resource, nil, &was); err != nil {
		return nil, err
	}
	now := unix.Rlimit{Cur: min(to, was.Max), Max: was.Max}
	if err := unix.Prlimit(pid, resource, &now, nil); err != nil {
		return nil, err
	}
	return func() { _ = unix.Prlimit(pid, resource, &was, nil) }, nil
}
