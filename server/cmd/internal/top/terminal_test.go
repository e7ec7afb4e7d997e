package top_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kongring/kongring/server"
	"github.com/kongring/kongring/server/cmd/internal/exit"
	"github.com/kongring/kongring/server/cmd/internal/top"
	"github.com/kongring/kongring/server/pdk"
)

const (
	patience = 30 * time.Second
	leave    = "\x1b[?7h\x1b[?25h\x1b[?1049l"
)

var kongring string // binary of the command

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "kongring-top-test-")
	if err == nil {
		err = os.Chmod(dir, 0o755) // for the test that is nobody
	}
	if err == nil {
		kongring = filepath.Join(dir, "kongring")
		var out []byte
		if out, err = exec.Command("go", "build", "-o", kongring, "../../kongring").CombinedOutput(); err != nil {
			err = fmt.Errorf("%w: %s", err, out)
		}
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

type config struct{}

func (*config) Access(*pdk.PDK) {}

// serve runs a plugin server until the test ends, and gives its socket.
func serve(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "kt") // short: a socket lies in it
	require.NoError(t, err)
	socket := filepath.Join(dir, "s.socket")
	s, err := server.New(server.WithPlugin("p", func() interface{} { return &config{} }, "1", 1), server.WithSocket(socket))
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx) }()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-ended)
		require.NoError(t, os.RemoveAll(dir))
	})
	require.Eventually(t, func() bool { _, err := server.Inspect(socket, patience); return err == nil }, patience, time.Millisecond)
	return socket
}

// terminal is a kongring that runs in one.
type terminal struct {
	*testing.T
	cmd      *exec.Cmd
	ptmx, tt *os.File
	was      *unix.Termios
	mu       sync.Mutex
	said     bytes.Buffer
}

func start(t *testing.T, width, height uint16, args ...string) *terminal {
	t.Helper()
	ptmx, tty, err := pty.Open()
	require.NoError(t, err)
	x := &terminal{T: t, ptmx: ptmx, tt: tty}
	t.Cleanup(func() { _ = ptmx.Close(); _ = tty.Close() })
	require.NoError(t, pty.Setsize(ptmx, &pty.Winsize{Rows: height, Cols: width}))
	x.was, err = unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	require.NoError(t, err)
	x.cmd = exec.Command(kongring, append([]string{"top", "--interval", "50ms"}, args...)...)
	x.cmd.Stdin, x.cmd.Stdout, x.cmd.Stderr = tty, tty, tty
	x.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Pdeathsig: syscall.SIGKILL}
	require.NoError(t, x.cmd.Start())
	go func() {
		b := make([]byte, 4096)
		for {
			n, err := ptmx.Read(b)
			x.mu.Lock()
			x.said.Write(b[:n])
			x.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return x
}

func (x *terminal) text() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.said.String()
}

func (x *terminal) shows(text string) {
	x.Helper()
	require.Eventually(x, func() bool { return strings.Contains(x.text(), text) }, patience, time.Millisecond, "%q", text)
}

// ends wants the end, with a status, and the terminal as it was.
func (x *terminal) ends(status int) {
	x.Helper()
	ended := make(chan error, 1)
	go func() { ended <- x.cmd.Wait() }()
	select {
	case <-ended:
	case <-time.After(patience):
		_ = x.cmd.Process.Kill()
		require.Fail(x, "it goes on")
	}
	require.Equal(x, status, x.cmd.ProcessState.ExitCode(), x.text())
	is, err := unix.IoctlGetTermios(int(x.tt.Fd()), unix.TCGETS)
	require.NoError(x, err)
	require.Equal(x, x.was, is)
	x.shows(leave)
}

func TestTerminalIsGivenBack(t *testing.T) {
	socket := serve(t)
	for name, tc := range map[string]struct {
		width, height uint16
		end           func(*terminal)
		status        int
	}{
		"q":        {80, 24, func(x *terminal) { x.press("q") }, exit.Fine},
		"Ctrl-C":   {80, 24, func(x *terminal) { x.press("\x03") }, exit.Signaled + int(syscall.SIGINT)},
		"SIGTERM":  {80, 24, func(x *terminal) { x.signal(syscall.SIGTERM) }, exit.Signaled + int(syscall.SIGTERM)},
		"SIGINT":   {80, 24, func(x *terminal) { x.signal(syscall.SIGINT) }, exit.Signaled + int(syscall.SIGINT)},
		"SIGHUP":   {80, 24, func(x *terminal) { x.signal(syscall.SIGHUP) }, exit.Signaled + int(syscall.SIGHUP)},
		"tiny":     {1, 1, func(x *terminal) { x.press("q") }, exit.Fine},
		"sizeless": {0, 0, func(x *terminal) { x.shows("SERVER"); x.press("sq") }, exit.Fine},
		"resized": {80, 24, func(x *terminal) {
			x.shows("no worker is attached")
			require.NoError(x, pty.Setsize(x.ptmx, &pty.Winsize{Rows: 3, Cols: 20}))
			x.shows("lines more")
			x.press("q")
		}, exit.Fine},
		"turned": {80, 24, func(x *terminal) { x.shows("PLUGIN"); x.press("t"); x.shows("FILL%"); x.press("t"); x.press("q") }, exit.Fine},
		"sorted": {80, 24, func(x *terminal) { x.press("s"); x.shows("by events"); x.press("q") }, exit.Fine},
	} {
		t.Run(name, func(t *testing.T) {
			args := []string{socket}
			if name == "resized" {
				args = append(args, "--interval", "1h") // no sample draws anew
			}
			x := start(t, tc.width, tc.height, args...)
			x.shows("\x1b[H")
			tc.end(x)
			x.ends(tc.status)
		})
	}
}

func (x *terminal) press(keys string) {
	_, err := x.ptmx.WriteString(keys)
	require.NoError(x, err)
}

func (x *terminal) signal(s syscall.Signal) { require.NoError(x, x.cmd.Process.Signal(s)) }

// A panic is shown on a terminal that is what it was.
func TestTerminalAfterAPanic(t *testing.T) {
	ptmx, tty, err := pty.Open()
	require.NoError(t, err)
	defer ptmx.Close()
	defer tty.Close()
	go func() { _, _ = io.Copy(io.Discard, ptmx) }()
	was, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	require.NoError(t, err)
	raw := false
	require.PanicsWithValue(t, "a fault", func() {
		top.LiveWith(tty, func() {
			now, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
			raw = err == nil && *now != *was
			panic("a fault")
		})
	})
	require.True(t, raw, "it was never another")
	is, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	require.NoError(t, err)
	require.Equal(t, was, is)
}

// A terminal that goes away ends it.
func TestTerminalGoesAway(t *testing.T) {
	x := start(t, 80, 24, serve(t))
	x.shows("no worker is attached")
	require.NoError(t, x.ptmx.Close())
	require.NoError(t, x.tt.Close())
	ended := make(chan error, 1)
	go func() { ended <- x.cmd.Wait() }()
	select {
	case <-ended:
	case <-time.After(patience):
		_ = x.cmd.Process.Kill()
		require.Fail(t, "it goes on")
	}
}

// A server that ends while it is looked at is said to be gone.
func TestServerGoesAway(t *testing.T) {
	var socket string
	x := &terminal{}
	t.Run("server", func(inner *testing.T) {
		socket = serve(inner)
		x = start(t, 80, 24, socket)
		x.shows("no worker is attached")
	}) // ends it
	x.shows("SILENT 1")
	x.shows("no plugin server listens at " + socket)
	x.press("q")
	x.ends(exit.Fine)
}

func TestClosedPipeIsSilent(t *testing.T) {
	r, w, err := os.Pipe()
	require.NoError(t, err)
	require.NoError(t, r.Close())
	var errOut bytes.Buffer
	cmd := exec.Command(kongring, "top", "--once", "--interval", "50ms", serve(t))
	cmd.Stdout, cmd.Stderr = w, &errOut
	require.Error(t, cmd.Run())
	require.NoError(t, w.Close())
	require.Empty(t, errOut.String())
}

// Who may not look is told who may.
func TestNoPermission(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("skipped: not root, who can be nobody")
	}
	socket := serve(t)
	for name, mode := range map[string]os.FileMode{"the kernel": 0o600, "the server": 0o666} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, os.Chmod(filepath.Dir(socket), 0o755))
			require.NoError(t, os.Chmod(socket, mode))
			var errOut bytes.Buffer
			cmd := exec.Command(kongring, "top", "--once", socket)
			cmd.Dir, cmd.Stderr = "/", &errOut
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
			require.Error(t, cmd.Run())
			require.Equal(t, exit.Failed, cmd.ProcessState.ExitCode())
			require.Regexp(t, "^kongring: .*: run this as root or as the server's user\n$", errOut.String())
		})
	}
}

func TestBadInput(t *testing.T) {
	socket := serve(t)
	for _, tc := range []struct {
		status int
		line   string
		args   []string
	}{
		{exit.Usage, "no SOCKET", nil},
		{exit.Usage, "no terminal: give --once", []string{socket}},
		{exit.Usage, "--sort=nothing", []string{socket, "--once", "--sort", "nothing"}},
		{exit.Usage, "--filter=worker", []string{socket, "--once", "--filter", "worker"}},
		{exit.Usage, "--filter=plugin=p", []string{socket, "--once", "--table", "workers", "--filter", "plugin=p"}},
		{exit.Usage, "--table=nothing", []string{socket, "--once", "--table", "nothing"}},
		{exit.Usage, "the table of workers has server, events", []string{socket, "--once", "--table", "workers", "--sort", "p99"}},
		{exit.Usage, "--interval=1ns", []string{socket, "--once", "--interval", "1ns"}},
		{exit.Usage, "give --once too", []string{socket, "--json"}},
		{exit.Failed, "no plugin server listens", []string{"/nowhere", "--once"}},
		{exit.Failed, "no plugin server listens", []string{"/nowhere", socket, "--once", "--interval", "50ms"}},
		{exit.Failed, "no worker is attached that fits worker=7", []string{socket, "--once", "--interval", "50ms", "--filter", "worker=7"}},
		{exit.Fine, "", []string{socket, "--once", "--interval", "50ms", "--json"}},
	} {
		var out, errOut bytes.Buffer
		cmd := exec.Command(kongring, append([]string{"top"}, tc.args...)...)
		cmd.Stdout, cmd.Stderr = &out, &errOut
		_ = cmd.Run()
		require.Equal(t, tc.status, cmd.ProcessState.ExitCode(), "%v: %s", tc.args, errOut.String())
		require.Contains(t, errOut.String(), tc.line)
		require.LessOrEqual(t, strings.Count(errOut.String(), "\n"), 1, errOut.String())
	}
}
