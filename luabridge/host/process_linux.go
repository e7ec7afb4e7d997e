package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// process is nginx's master process, a child of ours and the leader of its own
// process group, in which its workers are.
type process struct {
	pid  int
	done chan struct{} // closed when the process has ended and been reaped

	// While mu is held and reaped is false, pid belongs to our child and to
	// its group, even if it has ended: its number cannot be given to others.
	mu     sync.Mutex
	reaped bool
}

// startProcess runs nginx. It ends with this process: its parent-death signal
// is SIGTERM, which the master passes on to its workers (a killed master would
// leave them).
func startProcess(nginx string, o Options) (*process, error) {
	// The console has what nginx says before it has opened its log.
	console, err := os.Create(filepath.Join(o.Prefix, "console.log"))
	if err != nil {
		return nil, err
	}
	defer console.Close()

	cmd := exec.Command(nginx, "-p", o.Prefix, "-c", filepath.Join(o.Prefix, "nginx.conf"),
		"-e", filepath.Join(o.Prefix, "error.log"))
	cmd.Env = append(os.Environ(), environment(o.Env, func(s string) string { return s })...)
	cmd.Stdout, cmd.Stderr = console, console
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}

	p := &process{done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The signal comes when the thread that made the child ends, not
		// the process: keep it as long as the child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()

		err := cmd.Start()
		if err == nil {
			p.pid = cmd.Process.Pid
		}
		started <- err
		if err == nil {
			p.reap(cmd)
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// reap waits for the master, and ends workers that it has left behind.
func (p *process) reap(cmd *exec.Cmd) {
	const idTypePid = 1
	for {
		_, _, errno := syscall.Syscall6(syscall.SYS_WAITID, idTypePid, uintptr(p.pid),
			0, syscall.WEXITED|syscall.WNOWAIT, 0, 0)
		if errno != syscall.EINTR {
			break
		}
	}

	p.mu.Lock()
	_ = syscall.Kill(-p.pid, syscall.SIGKILL)
	_ = cmd.Wait() // how it ended is of no interest: its log says more
	p.reaped = true
	p.mu.Unlock()
	close(p.done)
}

// reload makes nginx start new workers and retire the old ones.
func (p *process) reload() error { return p.signal(p.pid, syscall.SIGHUP) }

// stop ends nginx, gracefully until ctx is done.
func (p *process) stop(ctx context.Context) error {
	if err := p.signal(p.pid, syscall.SIGQUIT); err != nil {
		return err
	}
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		p.kill()
		return fmt.Errorf("killed, because it was still running: %w", ctx.Err())
	}
}

// kill ends the whole group at once.
func (p *process) kill() {
	_ = p.signal(-p.pid, syscall.SIGKILL)
	<-p.done
}

// signal sends a signal to the master, or to its group if pid is negative.
func (p *process) signal(pid int, s syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reaped {
		return ErrExited
	}
	if err := syscall.Kill(pid, s); err != nil {
		return fmt.Errorf("signal %v: %w", s, err)
	}
	return nil
}

// WorkersOf returns the process ids of those children of an nginx master that
// take requests, none if there is no such master. It may be called from any
// goroutine.
//
// nginx gives a worker its title after init_worker_by_lua has run, and
// another title when it is told to leave.
func WorkersOf(master int) ([]int, error) {
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", master, master))
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list workers: %w", err)
	}

	var pids []int
	for _, field := range strings.Fields(string(children)) {
		title, err := os.ReadFile("/proc/" + field + "/cmdline")
		if err != nil {
			continue // gone since
		}
		if strings.TrimRight(string(title), "\x00 ") != "nginx: worker process" {
			continue
		}
		pid, err := strconv.Atoi(field)
		if err != nil {
			return nil, fmt.Errorf("list workers: %w", err)
		}
		pids = append(pids, pid)
	}
	return pids, nil
}
