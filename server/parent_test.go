package server_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/server"
	"github.com/kongring/kongring/server/wire"
)

// alone is how long an orphan stays in these tests.
const alone = 50 * time.Millisecond

// playChild is a plugin server that does not wait for long.
func playChild(string) error {
	return server.Run(server.WithPlugin("p", newEverything, "1", 1),
		server.WithSocket(server.SocketPath("p")), server.WithAlone(alone))
}

// playParent starts such a server under a name of its own, tells its pid, and
// stays until it is killed.
func playParent(socket string) error {
	name, flag := os.Args[1], os.Args[2]
	if err := os.WriteFile("/proc/self/comm", []byte(name), 0); err != nil {
		return err
	}
	child := command("child", "", "-socket", socket, "-watch-parent", flag)
	child.Stderr = os.Stderr
	if len(os.Args) > 3 { // as nginx has it, by a pipe that ends with this process
		child.Stderr = io.MultiWriter(os.Stderr)
	}
	if err := child.Start(); err != nil {
		return err
	}
	fmt.Println(child.Process.Pid)
	select {}
}

// family is a server and the process that started it.
type family struct {
	t      *testing.T
	parent *exec.Cmd
	child  int
	socket string
	log    chan string // the server's lines; closed at its end
}

func newFamily(t *testing.T, name, flag string, more ...string) *family {
	t.Helper()
	f := &family{t: t, socket: socketPath(t), log: make(chan string, 100)}
	f.parent = command("parent", f.socket, append([]string{name, flag}, more...)...)
	read, write, err := os.Pipe()
	require.NoError(t, err)
	f.parent.Stderr = write
	out, err := f.parent.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, f.parent.Start())
	require.NoError(t, write.Close())
	go func() {
		defer read.Close()
		defer close(f.log)
		for lines := bufio.NewScanner(read); lines.Scan(); {
			f.log <- lines.Text()
		}
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	f.child, err = strconv.Atoi(strings.TrimSpace(line))
	require.NoError(t, err)
	t.Cleanup(func() {
		if f.parent.ProcessState == nil {
			f.kill()
		}
		if syscall.Kill(f.child, syscall.SIGKILL) == nil {
			for range f.log {
				continue
			}
		}
	})
	listening(t, f.socket)
	return f
}

// kill kills the parent.
func (f *family) kill() {
	f.t.Helper()
	require.NoError(f.t, f.parent.Process.Kill())
	var exit *exec.ExitError
	require.True(f.t, errors.As(f.parent.Wait(), &exit))
}

// says waits for a line of the server's.
func (f *family) says(text string) {
	f.t.Helper()
	late := time.After(patience)
	for {
		select {
		case line, more := <-f.log:
			if strings.Contains(line, text) {
				return
			}
			require.True(f.t, more, "the server ended without the words %q", text)
		case <-late:
			require.FailNow(f.t, "the server never says "+text)
		}
	}
}

// ends waits for the server's end.
func (f *family) ends() {
	f.t.Helper()
	late := time.After(patience)
	for {
		select {
		case _, more := <-f.log:
			if !more {
				return
			}
		case <-late:
			require.FailNow(f.t, "the server does not end")
		}
	}
}

// A worker that is killed leaves a server behind, which serves the others until
// the next one is there.
func TestOrphanHandsOver(t *testing.T) {
	f := newFamily(t, "nginx", "auto")
	f.says("ends some time after its parent")
	w := attach(t, f.socket)
	instance := w.instance("p", `{}`)
	f.kill()
	f.says("the process that started this server is gone")
	for begun := time.Now(); time.Since(begun) < 6*alone; time.Sleep(alone / 10) {
		event := w.head(wire.TypeEvent, 0)
		event.Code, event.Arg = wire.PhaseAccess, instance
		w.send(event, nil)
		w.expect(wire.TypeDone, event)
	}
	next := newServer(t, f.socket)
	ended := serve(t.Context(), next)
	f.says(fmt.Sprintf("leaves the socket to pid %d", os.Getpid()))
	w.hangUp() // as a worker does that is told so
	f.ends()
	attach(t, f.socket).instance("scripted", `{}`)
	require.NoError(t, next.Close())
	require.ErrorIs(t, within(t, ended), server.ErrServerClosed)
}

// Nobody is left to serve.
func TestOrphanEnds(t *testing.T) {
	for _, as := range [][2]string{{"nginx", "auto"}, {"sh", "on"}} {
		t.Run(as[0], func(t *testing.T) {
			f := newFamily(t, as[0], as[1])
			f.kill()
			f.says("nobody is attached, and no parent there")
			f.ends()
			_, err := os.Lstat(f.socket)
			require.ErrorIs(t, err, fs.ErrNotExist)
		})
	}
}

// Who starts a server from a shell and leaves wants it to stay.
func TestOrphanStays(t *testing.T) {
	for _, as := range [][2]string{{"sh", "auto"}, {"nginx", "off"}} {
		t.Run(as[0], func(t *testing.T) {
			f := newFamily(t, as[0], as[1])
			f.kill()
			require.Eventually(t, func() bool { return parentOf(t, f.child) != f.parent.Process.Pid }, patience, time.Millisecond)
			for begun := time.Now(); time.Since(begun) < 6*alone; time.Sleep(alone / 10) {
				_, err := server.Inspect(f.socket, patience)
				require.NoError(t, err)
			}
			require.NoError(t, syscall.Kill(f.child, syscall.SIGTERM))
			for line := range f.log {
				require.NotContains(t, line, "parent")
			}
		})
	}
}

// The log is a pipe to the parent: nobody reads it any more.
func TestOrphanWithoutALog(t *testing.T) {
	f := newFamily(t, "nginx", "auto", "piped")
	w := attach(t, f.socket)
	w.instance("p", `{}`)
	f.kill()
	f.ends() // the log does
	require.Eventually(t, func() bool { return parentOf(t, f.child) != f.parent.Process.Pid }, patience, time.Millisecond)
	for begun := time.Now(); time.Since(begun) < 6*alone; time.Sleep(alone / 10) {
		stats, err := server.Inspect(f.socket, patience)
		require.NoError(t, err)
		require.Equal(t, f.child, stats.PID)
	}
	next := newServer(t, f.socket)
	ended := serve(t.Context(), next)
	overdue := w.overdue()
	for w.doorbell.WaitRing() == nil { // until the orphan hangs up
	}
	require.True(t, overdue.Stop(), "the worker is never told to leave")
	w.hangUp()
	require.NoError(t, next.Close())
	require.ErrorIs(t, within(t, ended), server.ErrServerClosed)
}

// parentOf reads who the parent of a process is.
func parentOf(t *testing.T, pid int) int {
	t.Helper()
	file, err := os.Open(fmt.Sprintf("/proc/%d/stat", pid))
	require.NoError(t, err)
	defer file.Close()
	text, err := io.ReadAll(file)
	require.NoError(t, err)
	_, behind, _ := strings.Cut(string(text), ") ")
	parent, err := strconv.Atoi(strings.Fields(behind)[1])
	require.NoError(t, err)
	return parent
}
