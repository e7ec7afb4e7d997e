package confine

import (
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// Calls are the system calls that a plugin server makes once it runs, besides
// socket: all of them are in systemd's set @system-service. Go's runtime has
// what it needs before that, and the C library in a binary that is linked with
// it.
var Calls = map[string]uint32{
	"accept4":           unix.SYS_ACCEPT4,
	"bind":              unix.SYS_BIND,
	"brk":               unix.SYS_BRK,
	"clone":             unix.SYS_CLONE,
	"clone3":            unix.SYS_CLONE3,
	"close":             unix.SYS_CLOSE,
	"connect":           unix.SYS_CONNECT,
	"epoll_create1":     unix.SYS_EPOLL_CREATE1,
	"epoll_ctl":         unix.SYS_EPOLL_CTL,
	"epoll_pwait":       unix.SYS_EPOLL_PWAIT,
	"eventfd2":          unix.SYS_EVENTFD2,
	"exit":              unix.SYS_EXIT,
	"exit_group":        unix.SYS_EXIT_GROUP,
	"fallocate":         unix.SYS_FALLOCATE,
	"fchmod":            unix.SYS_FCHMOD,
	"fchmodat":          unix.SYS_FCHMODAT,
	"fchownat":          unix.SYS_FCHOWNAT,
	"fcntl":             unix.SYS_FCNTL,
	"fstat":             unix.SYS_FSTAT,
	"futex":             unix.SYS_FUTEX,
	"geteuid":           unix.SYS_GETEUID,
	"getpeername":       unix.SYS_GETPEERNAME,
	"getpid":            unix.SYS_GETPID,
	"getppid":           unix.SYS_GETPPID,
	"getrandom":         unix.SYS_GETRANDOM,
	"getsockname":       unix.SYS_GETSOCKNAME,
	"getsockopt":        unix.SYS_GETSOCKOPT,
	"gettid":            unix.SYS_GETTID,
	"getuid":            unix.SYS_GETUID,
	"listen":            unix.SYS_LISTEN,
	"lseek":             unix.SYS_LSEEK,
	"madvise":           unix.SYS_MADVISE,
	"memfd_create":      unix.SYS_MEMFD_CREATE,
	"mmap":              unix.SYS_MMAP,
	"mprotect":          unix.SYS_MPROTECT,
	"munmap":            unix.SYS_MUNMAP,
	"nanosleep":         unix.SYS_NANOSLEEP,
	"newfstatat":        unix.SYS_NEWFSTATAT,
	"openat":            unix.SYS_OPENAT,
	"prctl":             unix.SYS_PRCTL,
	"pread64":           unix.SYS_PREAD64,
	"read":              unix.SYS_READ,
	"recvfrom":          unix.SYS_RECVFROM,
	"recvmsg":           unix.SYS_RECVMSG,
	"renameat":          unix.SYS_RENAMEAT,
	"renameat2":         unix.SYS_RENAMEAT2,
	"restart_syscall":   unix.SYS_RESTART_SYSCALL,
	"rseq":              unix.SYS_RSEQ,
	"rt_sigaction":      unix.SYS_RT_SIGACTION,
	"rt_sigprocmask":    unix.SYS_RT_SIGPROCMASK,
	"rt_sigreturn":      unix.SYS_RT_SIGRETURN,
	"sched_getaffinity": unix.SYS_SCHED_GETAFFINITY,
	"sched_yield":       unix.SYS_SCHED_YIELD,
	"sendmsg":           unix.SYS_SENDMSG,
	"sendto":            unix.SYS_SENDTO,
	"set_robust_list":   unix.SYS_SET_ROBUST_LIST,
	"setsockopt":        unix.SYS_SETSOCKOPT,
	"sigaltstack":       unix.SYS_SIGALTSTACK,
	"socketpair":        unix.SYS_SOCKETPAIR,
	"tgkill":            unix.SYS_TGKILL,
	"unlinkat":          unix.SYS_UNLINKAT,
	"write":             unix.SYS_WRITE,
}

// WithoutMemfd makes the kernel refuse memfd_create to this process, with EPERM,
// as a container's seccomp profile does. There is no way back.
func WithoutMemfd() error { return install(withoutMemfd()) }

// AsUnit confines this process as server/systemd/kongring@.service does, but for
// its files: no new privileges, no system calls but [Calls], no sockets but those
// of Unix and the internet, and, where the kernel has it (6.3 and newer), no
// memory that could be executed. It tells whether the kernel has that. There is
// no way back.
func AsUnit() (noNewCode bool, err error) {
	arch, ok := map[string]uint32{"amd64": unix.AUDIT_ARCH_X86_64, "arm64": unix.AUDIT_ARCH_AARCH64}[runtime.GOARCH]
	if !ok {
		return false, fmt.Errorf("confine: no filter for %s", runtime.GOARCH)
	}
	err = unix.Prctl(unix.PR_SET_MDWE, unix.PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0)
	if err != nil && !errors.Is(err, unix.EINVAL) {
		return false, fmt.Errorf("confine: prctl: %w", err)
	}
	noNewCode = err == nil
	if err := install(only(arch, Calls)); err != nil {
		return false, fmt.Errorf("confine: %w", err)
	}
	return noNewCode, check(noNewCode)
}

// check tries what must not work any more.
func check(noNewCode bool) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW, 0)
	if !errors.Is(err, unix.EAFNOSUPPORT) {
		return fmt.Errorf("confine: a socket of netlink: descriptor %d, %v", fd, err)
	}
	if !noNewCode {
		return nil
	}
	_, err = unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE|unix.PROT_EXEC, unix.MAP_ANON|unix.MAP_PRIVATE)
	if !errors.Is(err, unix.EACCES) {
		return fmt.Errorf("confine: memory to write and to execute: %v", err)
	}
	return nil
}
