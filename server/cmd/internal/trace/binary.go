package trace

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/kongring/kongring/server"
)

// process is a plugin's binary that runs for a replay.
type process struct {
	Socket string

	dir   string
	cmd   *exec.Cmd
	said  tail
	ended chan struct{}
}

// run starts a plugin's binary, and waits until it listens.
func run(binary string, patience time.Duration, args ...string) (*process, error) {
	path, err := exec.LookPath(binary)
	if errors.Is(err, exec.ErrNotFound) {
		path, err = filepath.Abs(binary) // as a file it needs no "./"
	}
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		return nil, fmt.Errorf("no plugin binary: %w", err)
	}
	p := &process{ended: make(chan struct{})}
	if p.dir, err = os.MkdirTemp("", "kr"); err != nil {
		return nil, err
	}
	p.Socket = filepath.Join(p.dir, "s")
	args = append([]string{"-socket", p.Socket, "-carrier", "socket", "-log-level", "error", "-watch-parent", "off"}, args...)
	p.cmd = exec.Command(path, args...)
	p.cmd.Stdout, p.cmd.Stderr = &p.said, &p.said
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		_ = os.RemoveAll(p.dir)
		return nil, fmt.Errorf("start the plugin binary: %w", err)
	}
	go func() { _ = p.cmd.Wait(); close(p.ended) }()
	if err := p.listens(patience); err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

// listens waits until the process listens.
func (p *process) listens(patience time.Duration) error {
	const look = 5 * time.Millisecond
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		if _, err := server.Inspect(p.Socket, patience); err == nil {
			return nil
		}
		select {
		case <-p.ended:
			return fmt.Errorf("%s is no plugin server of kongring, or cannot start: %s", p.cmd.Path, p.last())
		case <-late.C:
			return fmt.Errorf("%s does not listen within %v: is it a plugin server of kongring?", p.cmd.Path, patience)
		case <-time.After(look):
		}
	}
}

// last says how the process ended, and what it said then, in lines. It waits for
// the end.
func (p *process) last() string {
	<-p.ended
	return strings.TrimSpace(fmt.Sprintf("%s\n%s", p.cmd.ProcessState, p.said.text()))
}

// stop ends the process.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(2 * time.Second): // a handler still runs
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
	_ = os.RemoveAll(p.dir)
}

// tail keeps the end of what is written.
type tail struct {
	mu   sync.Mutex
	kept []byte
}

const tailBytes = 16 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, b...)
	t.kept = t.kept[max(0, len(t.kept)-tailBytes):]
	return len(b), nil
}

func (t *tail) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.kept)
}
