package server_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tinylib/msgp/msgp"

	"github.com/kongring/kongring/server"
	"github.com/kongring/kongring/server/pdk"
	"github.com/kongring/kongring/server/wire"
	"github.com/kongring/kongring/shm"
)

// stranger is the uid of another user, and members a group that it may be in.
const stranger, members = 65534, 4711

// maxPending is how many connections wait to say hello, unless told otherwise.
const maxPending = 256

// needRoot skips what only root can play.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("skipped: another user's process takes root to start")
	}
}

func asStranger(groups ...uint32) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: stranger, Gid: stranger, Groups: groups}}
}

// Two doors: the socket's group and mode, and the list of users.
func TestWhoMayAttach(t *testing.T) {
	needRoot(t)
	for _, tc := range []struct {
		name    string
		allowed []server.Option
		groups  []uint32
		says    string // "" when it may
		denied  int
	}{
		{"neither", nil, nil, "connect: permission denied", 0},
		{"the group", nil, []uint32{members}, "uid 65534 may not attach", 1},
		{"the user", []server.Option{server.WithUID(stranger)}, nil, "connect: permission denied", 0},
		{"both", []server.Option{server.WithUID(stranger)}, []uint32{members}, "", 0},
		{"both, by name", []server.Option{server.WithUser("nobody")}, []uint32{members}, "", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, socket := start(t, append(tc.allowed, obedient(), server.WithSocketGroup(fmt.Sprint(members)))...)
			require.NoError(t, os.Chmod(filepath.Dir(socket), 0o755))
			info, err := os.Lstat(socket)
			require.NoError(t, err)
			require.Equal(t, fs.ModeSocket|0o660, info.Mode())
			out, err := play(t, "attach", socket, asStranger(tc.groups...))
			stats := s.Stats()
			require.EqualValues(t, tc.denied, stats.Denied)
			require.EqualValues(t, tc.denied, stats.Refused)
			if tc.says == "" {
				require.NoError(t, err, "%s", out)
				require.EqualValues(t, 1, stats.SessionsBegun)
				return
			}
			require.Error(t, err)
			require.Contains(t, out, tc.says)
			require.Zero(t, stats.SessionsBegun)
		})
	}
}

// The same by the command line.
func TestFlagsOfWhoMayAttach(t *testing.T) {
	needRoot(t)
	for name, args := range map[string][]string{
		"":                  {"-allow-uid", "65533", "-allow-uid", "65534"},
		"by name":           {"-allow-user", "daemon", "-allow-user", "nobody"},
		"uid 65534 may not": {"-allow-user", "daemon", "-allow-uid", "65533"},
	} {
		t.Run(name, func(t *testing.T) {
			socket := socketPath(t)
			require.NoError(t, os.Chmod(filepath.Dir(socket), 0o755))
			cmd := command("plugin", "", append(args, "-socket", socket, "-socket-group", fmt.Sprint(members))...)
			require.NoError(t, cmd.Start())
			t.Cleanup(func() {
				require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
				require.NoError(t, cmd.Wait())
			})
			listening(t, socket)
			out, err := play(t, "attach", socket, asStranger(members))
			if name == "uid 65534 may not" {
				require.Error(t, err)
				require.Contains(t, out, name)
				return
			}
			require.NoError(t, err, "%s", out)
		})
	}
}

func TestUnknownUserOrGroup(t *testing.T) {
	for says, option := range map[string]server.Option{
		"let a user attach: user: unknown user no-such-user":      server.WithUser("no-such-user"),
		"group of the socket: group: unknown group no-such-group": server.WithSocketGroup("no-such-group"),
		"group of the socket: group: unknown group 4294967295":    server.WithSocketGroup("4294967295"),
	} {
		_, err := server.New(option)
		require.ErrorContains(t, err, says)
	}
}

// Strangers who fill their waiting room keep nobody else out.
func TestStrangersTakeNoPlace(t *testing.T) {
	needRoot(t)
	log := new(record)
	s, socket := start(t, obedient(), log.option(), server.WithSocketMode(0o666))
	require.NoError(t, os.Chmod(filepath.Dir(socket), 0o755))
	cmd := command("crowd", socket)
	cmd.SysProcAttr = asStranger()
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = in.Close()
		require.NoError(t, cmd.Wait())
	})
	_, err = out.Read(make([]byte, 1)) // all are there
	require.NoError(t, err)
	attach(t, socket).instance("scripted", `{}`)
	require.GreaterOrEqual(t, s.Stats().Denied, uint64(maxPending-server.MaxStrangersWaiting))
	lines := log.lines(t, "connection refused")
	require.NotEmpty(t, lines)
	require.Equal(t, "too many connections wait to say hello", lines[0]["reason"])
	require.Equal(t, fmt.Sprintf("pid %d uid 65534", cmd.Process.Pid), lines[0]["peer"])
}

// playCrowd connects more often than may wait, says nothing, and stays until its
// parent is gone or has seen enough.
func playCrowd(socket string) error {
	for range 2 * maxPending {
		conn, err := net.Dial("unix", socket)
		if err != nil {
			return err
		}
		defer conn.Close()
	}
	_, err := fmt.Println()
	_, err2 := io.Copy(io.Discard, os.Stdin)
	return errors.Join(err, err2)
}

func TestStrangersDoNotFillTheLog(t *testing.T) {
	s := server.NewStrangers()
	now := time.Unix(1e9, 0)
	say := func(uid uint32, want bool, unsaid uint64) {
		t.Helper()
		said, n := s.Say(uid, now)
		require.Equal(t, want, said)
		require.Equal(t, unsaid, n)
	}
	say(7, true, 0)
	for range 5 {
		say(7, false, 0)
	}
	say(8, true, 0)
	now = now.Add(server.StrangerInterval - 1)
	say(7, false, 0)
	now = now.Add(1)
	say(7, true, 6)
	say(7, false, 0)
	say(8, true, 0)

	for uid := range uint32(server.MaxStrangers - 2) {
		say(100+uid, true, 0)
	}
	say(99, false, 0) // one too many
	say(7, false, 0)
	now = now.Add(server.StrangerInterval)
	say(99, true, 0) // the others are forgotten
	say(7, true, 0)
}

// Whoever may write into the folder may be first, or move the socket away.
func TestFolderThatIsEveryones(t *testing.T) {
	for _, mode := range []fs.FileMode{0o700, 0o770, 0o777, 0o777 | fs.ModeSticky} {
		socket, log := socketPath(t), new(record)
		require.NoError(t, os.Chmod(filepath.Dir(socket), mode))
		s := newServer(t, socket, log.option())
		ended := serve(t.Context(), s)
		listening(t, socket)
		require.NoError(t, s.Close())
		require.ErrorIs(t, within(t, ended), server.ErrServerClosed)
		lines := log.lines(t, "everyone may write into the folder of the socket: whoever listens there first gets the workers")
		if mode&0o007 == 0 {
			require.Empty(t, lines)
			continue
		}
		require.Len(t, lines, 1)
		require.Equal(t, filepath.Dir(socket), lines[0]["folder"])
	}
}

// What a stranger says is read, so that it reads the answer: it has no other use.
func TestStrangerIsToldWhy(t *testing.T) {
	needRoot(t)
	_, socket := start(t, obedient(), server.WithSocketMode(0o666))
	require.NoError(t, os.Chmod(filepath.Dir(socket), 0o755))
	for _, role := range []string{"attach", "inspect"} {
		out, err := play(t, role, socket, asStranger())
		require.Error(t, err)
		require.Contains(t, out, fmt.Sprintf("status %d: uid 65534 may not attach", shm.WelcomeDenied))
	}
}

// playInspect asks for the server's figures.
func playInspect(socket string) error {
	_, err := server.Inspect(socket, patience)
	return err
}

// A worker names a file of another user's, which the server might read: it is not
// read for the worker, which is asked for the body itself.
func TestFileThatIsNotTheWorkers(t *testing.T) {
	needRoot(t)
	bodies := make(chan string, 1)
	_, socket := start(t, withScript(func(_ *scripted, kong *pdk.PDK) {
		body, err := kong.Request.GetRawBody()
		if err != nil {
			panic(err)
		}
		bodies <- string(body)
	}))
	path := filepath.Join(filepath.Dir(socket), "secret")
	require.NoError(t, os.WriteFile(path, []byte("secret"), 0o600))
	w := attach(t, socket)
	in := w.instance("scripted", `{}`)
	named := msgp.AppendString([]byte{0x92, 1}, path)

	head := w.event(0, in)
	w.expect(wire.TypeCall, head)
	w.answer(head, named)
	w.expect(wire.TypeDone, head)
	require.Equal(t, "secret", <-bodies, "it is the worker's")

	require.NoError(t, os.Chown(path, stranger, stranger))
	head = w.event(0, in)
	w.expect(wire.TypeCall, head)
	w.answer(head, named)
	_, args := w.expect(wire.TypeCall, head)
	require.Equal(t, msgp.AppendInt([]byte{0xdc, 0, 1}, 64<<20), args)
	w.answer(head, msgp.AppendBytes([]byte{0x92, 0}, []byte("body")))
	w.expect(wire.TypeDone, head)
	require.Equal(t, "body", <-bodies)
}
