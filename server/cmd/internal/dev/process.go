package dev

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"github.com/kongring/kongring/server"
)

const (
	// startTime is how long a server may take until it listens.
	startTime = time.Minute

	// endTime is how long it may take to end: the grace time of the events under
	// way, that of the handlers that do not return then, and some more.
	endTime = 25 * time.Second

	// looks is how often something is looked for that nothing tells of.
	looks = 5 * time.Millisecond
)

// process is a plugin server.
type process struct {
	program
	pid   int
	cmd   *exec.Cmd
	ended chan struct{} // closed at its end

	state string // how it ended
	ok    bool   // it ended as it was told to
}

// launch starts a plugin server. It ends with this process, also where that is
// killed.
func launch(p program, args []string, out, errOut io.Writer) (*process, error) {
	cmd := exec.Command(p.path, args...)
	cmd.Stdout, cmd.Stderr = out, errOut
	cmd.WaitDelay = time.Second
	// A Ctrl-C reaches it through this process alone, which ends all in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	s := &process{program: p, cmd: cmd, ended: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The signal comes at the end of the thread that made the child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if err == nil {
			s.pid = cmd.Process.Pid
		}
		started <- err
		if err == nil {
			_ = cmd.Wait()
			s.state, s.ok = cmd.ProcessState.String(), cmd.ProcessState.Success()
			close(s.ended)
		}
	}()
	return s, <-started
}

// listens waits until the server has the socket, or says why it never will.
func (s *process) listens(ctx context.Context, socket string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startTime, fmt.Errorf("it did not listen at %s within %v", socket, startTime))
	defer cancel()
	for !serves(socket, s.pid) {
		select {
		case <-s.ended:
			return fmt.Errorf("it ended at its start, %s", s.state)
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(looks):
		}
	}
	return nil
}

// serves tells whether it is a certain server that listens on a socket.
func serves(socket string, pid int) bool {
	stats, err := server.Inspect(socket, time.Second)
	return err == nil && stats.PID == pid
}

// gone tells whether the server has ended.
func (s *process) gone() bool {
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}

// stop tells the server to end when its events are over.
func (s *process) stop() { _ = s.cmd.Process.Signal(syscall.SIGTERM) }

// end waits for the end of a server that was told to stop. When its time is over it
// kills the server, with what that has started.
func (s *process) end(patience <-chan time.Time) error {
	select {
	case <-s.ended:
		return nil
	case <-patience:
	}
	_ = syscall.Kill(-s.pid, syscall.SIGKILL)
	<-s.ended
	return errors.New("it did not end in time, and was killed")
}
