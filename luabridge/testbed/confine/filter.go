package confine

import (
	"maps"
	"slices"

	"golang.org/x/sys/unix"
)

// Where a filter finds its facts: struct seccomp_data, on little-endian machines.
const (
	atCall     = 0
	atArch     = 4
	atFirstArg = 16
)

// families are what RestrictAddressFamilies= of the unit leaves.
var families = []uint32{unix.AF_UNIX, unix.AF_INET, unix.AF_INET6}

func load(at uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: at}
}

func end(with uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: with}
}

// is goes on if the fact has a value, and else leaves the next steps out.
func is(value uint32, leaveOut uint8) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: value, Jf: leaveOut}
}

// withoutMemfd refuses memfd_create with EPERM.
func withoutMemfd() []unix.SockFilter {
	return []unix.SockFilter{
		load(atCall),
		is(unix.SYS_MEMFD_CREATE, 1),
		end(unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)),
		end(unix.SECCOMP_RET_ALLOW),
	}
}

// only kills a process that makes another call than those, and refuses it sockets
// of other families.
func only(arch uint32, calls map[string]uint32) []unix.SockFilter {
	filter := []unix.SockFilter{
		load(atArch), is(arch, 1), load(atCall), // else the number means another call, and is not looked at
	}
	for _, name := range slices.Sorted(maps.Keys(calls)) {
		filter = append(filter, is(calls[name], 1), end(unix.SECCOMP_RET_ALLOW))
	}
	filter = append(filter, is(unix.SYS_SOCKET, uint8(2+2*len(families))), load(atFirstArg))
	for _, family := range families {
		filter = append(filter, is(family, 1), end(unix.SECCOMP_RET_ALLOW))
	}
	return append(filter, end(unix.SECCOMP_RET_ERRNO|uint32(unix.EAFNOSUPPORT)), end(unix.SECCOMP_RET_KILL_PROCESS))
}
