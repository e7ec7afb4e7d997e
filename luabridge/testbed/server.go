package testbed

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/kongring/kongring/server"
)

// Server is a running plugin server process.
type Server struct {
	Socket string

	cmd   *exec.Cmd
	log   string
	ended chan struct{}
}

// look is how often something is looked for that nothing tells of.
const look = 2 * time.Millisecond

// StartServer runs a plugin server that listens on socket and returns when it
// does. Its output goes to the file at logPath. It dies with this process.
func StartServer(ctx context.Context, binary, socket, logPath string, args ...string) (*Server, error) {
	return startServer(ctx, nil, binary, socket, logPath, append([]string{"-socket", socket}, args...))
}

// startServer is StartServer with all arguments, and who to run the binary as.
func startServer(ctx context.Context, as *syscall.Credential, binary, socket, logPath string, args []string) (*Server, error) {
	out, err := os.OpenFile(logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("start plugin server: %w", err)
	}
	defer out.Close()
	s := &Server{Socket: socket, log: logPath, ended: make(chan struct{})}
	s.cmd = exec.Command(binary, args...)
	s.cmd.Stdout, s.cmd.Stderr = out, out
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Credential: as}
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start plugin server: %w", err)
	}
	go func() { _ = s.cmd.Wait(); close(s.ended) }()

	for {
		// by its number: another server may listen there
		if stats, err := server.Inspect(socket, time.Second); err == nil && stats.PID == s.PID() {
			return s, nil
		}
		select {
		case <-s.ended:
			text, _ := os.ReadFile(logPath)
			return nil, fmt.Errorf("start plugin server %s: it ended: %s", filepath.Base(binary), text)
		case <-ctx.Done():
			s.Kill()
			return nil, fmt.Errorf("start plugin server %s: %w", filepath.Base(binary), ctx.Err())
		case <-time.After(look):
		}
	}
}

// PID is the process id.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Stats asks the server for its figures.
func (s *Server) Stats() (server.Stats, error) { return server.Inspect(s.Socket, 5*time.Second) }

// Kill sends SIGKILL and waits for the end.
func (s *Server) Kill() {
	_ = s.cmd.Process.Kill()
	<-s.ended
}

// Stop sends SIGTERM and waits for the end, up to the end of ctx.
func (s *Server) Stop(ctx context.Context) error {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	_ = s.cmd.Process.Signal(syscall.SIGCONT) // a test may have stopped it
	select {
	case <-s.ended:
	case <-ctx.Done():
		s.Kill()
		return fmt.Errorf("stop plugin server: %w", ctx.Err())
	}
	if !s.cmd.ProcessState.Success() {
		return fmt.Errorf("stop plugin server: %s", s.cmd.ProcessState)
	}
	return nil
}

// Log gives what the server wrote so far.
func (s *Server) Log() string {
	text, err := os.ReadFile(s.log)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err.Error()
	}
	return string(text)
}
