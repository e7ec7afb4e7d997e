package server_test

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/server"
	"github.com/kongring/kongring/server/wire"
)

// fakeSystemd is where a service tells how it is.
type fakeSystemd struct {
	t    *testing.T
	conn *net.UnixConn
}

func newSystemd(t *testing.T) *fakeSystemd {
	t.Helper()
	path := filepath.Join(filepath.Dir(socketPath(t)), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(patience)))
	t.Setenv("NOTIFY_SOCKET", path)
	return &fakeSystemd{t, conn}
}

// next gives the lines of what it is told next.
func (f *fakeSystemd) next() []string {
	f.t.Helper()
	b := make([]byte, 4096)
	n, err := f.conn.Read(b)
	require.NoError(f.t, err)
	return strings.Split(string(b[:n]), "\n")
}

// until waits for a line, and gives what it was told with it.
func (f *fakeSystemd) until(line string) []string {
	f.t.Helper()
	for {
		told := f.next()
		for _, l := range told {
			if l == line {
				return told
			}
		}
	}
}

// soFar gives all that it was told and did not read yet.
func (f *fakeSystemd) soFar() (told []string) {
	f.t.Helper()
	const mark = "that is all"
	_, err := f.conn.WriteTo([]byte(mark), f.conn.LocalAddr())
	require.NoError(f.t, err)
	for {
		lines := f.next()
		if lines[0] == mark {
			return told
		}
		told = append(told, lines...)
	}
}

func TestSystemdIsTold(t *testing.T) {
	systemd := newSystemd(t)
	t.Setenv("WATCHDOG_USEC", "60000")
	socket := socketPath(t)
	var log record
	s := newServer(t, socket, server.Systemd(), log.option())
	ctx, stop := context.WithCancel(t.Context())
	ended := serve(ctx, s)

	require.Equal(t, []string{"READY=1", "STATUS=0 workers attached, which sent 0 events; 0 under way"}, systemd.next())
	_, err := server.Inspect(socket, patience)
	require.NoError(t, err, "ready, and not listening")
	w := attach(t, socket)
	w.expect(wire.TypeDone, w.event(0, w.instance("scripted", `{}`)))
	systemd.until("STATUS=1 workers attached, which sent 1 events; 0 under way")
	systemd.until("WATCHDOG=1")
	systemd.until("WATCHDOG=1")

	// A worker could not attach now: no sign of life.
	require.NoError(t, os.Rename(socket, socket+"x"))
	dead := func() int { return len(log.lines(t, "the server does not answer")) }
	twiceMore := func() { // the first time may have begun before
		before := dead()
		require.Eventually(t, func() bool { return dead() > before+1 }, patience, time.Millisecond)
	}
	twiceMore()
	systemd.soFar()
	twiceMore()
	require.Empty(t, systemd.soFar())
	require.NoError(t, os.Rename(socket+"x", socket))
	systemd.until("WATCHDOG=1")

	w.hangUp()
	stop()
	systemd.until("STOPPING=1")
	require.NoError(t, within(t, ended))
}

// Who was not asked to, or is not systemd's, says nothing.
func TestSystemdIsNotThere(t *testing.T) {
	for name, opts := range map[string][]server.Option{"not asked": nil, "no systemd": {server.Systemd()}} {
		t.Run(name, func(t *testing.T) {
			systemd := newSystemd(t)
			if name == "no systemd" {
				t.Setenv("NOTIFY_SOCKET", "")
			}
			socket := socketPath(t)
			ctx, stop := context.WithCancel(t.Context())
			ended := serve(ctx, newServer(t, socket, opts...))
			listening(t, socket)
			stop()
			require.NoError(t, within(t, ended))
			require.Empty(t, systemd.soFar())
		})
	}
}

// activated gives a plugin server that is started with sockets handed over.
func activated(t *testing.T, files string, sockets ...*net.UnixListener) (*exec.Cmd, *strings.Builder) {
	t.Helper()
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := command("plugin", "", "-c", `LISTEN_PID=$$ exec "$0" -socket /named/by/flag.socket -socket-group 4711`, exe)
	cmd.Path, cmd.Args[0] = "/bin/sh", "sh"
	cmd.Env = append(cmd.Env, "LISTEN_FDS="+files)
	for _, s := range sockets {
		file, err := s.File()
		require.NoError(t, err)
		t.Cleanup(func() { _ = file.Close() })
		cmd.ExtraFiles = append(cmd.ExtraFiles, file)
	}
	var log strings.Builder
	cmd.Stderr = &log
	return cmd, &log
}

func TestSocketActivation(t *testing.T) {
	socket := socketPath(t)
	unit, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	require.NoError(t, err)
	defer unit.Close()
	before, err := os.Lstat(socket)
	require.NoError(t, err)
	waits, err := net.Dial("unix", socket) // before the server is there, as that is what starts it
	require.NoError(t, err)
	require.NoError(t, waits.Close())

	for range 2 { // systemd keeps the socket
		cmd, log := activated(t, "1", unit)
		require.NoError(t, cmd.Start())
		t.Cleanup(func() { _ = cmd.Process.Kill() })
		w := attach(t, socket)
		exe, err := os.Executable()
		require.NoError(t, err)
		w.instance(filepath.Base(exe), `{}`)
		stats, err := server.Inspect(socket, patience)
		require.NoError(t, err)
		require.Equal(t, cmd.Process.Pid, stats.PID)
		w.hangUp()
		require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
		require.NoError(t, cmd.Wait())
		require.Contains(t, log.String(), "the socket is systemd's, and not the one that the flags name")
		require.Contains(t, log.String(), "the socket is systemd's, and so is its group")
		after, err := os.Lstat(socket)
		require.NoError(t, err)
		require.True(t, os.SameFile(before, after))
	}

	cmd, log := activated(t, "2", unit, unit)
	require.Error(t, cmd.Run())
	require.Contains(t, log.String(), "systemd hands 2 sockets over, want one")
}
