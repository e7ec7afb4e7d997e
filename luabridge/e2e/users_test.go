package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/luabridge/testbed"
)

// Debian's www-data runs the plugin server, and nobody, of group nogroup, the
// workers of nginx: neither of them is root.
const wwwData, nobody, nogroup = 33, 65534, 65534

// twoUsers makes nginx's workers and the plugin server two users, who may write
// nowhere but into the bed, the server, and into nginx's folders, the workers.
func twoUsers(t *testing.T, o *testbed.Options) {
	t.Helper()
	require.NoError(t, os.Chmod(o.Dir, 0o755))
	require.NoError(t, os.Chown(o.Dir, wwwData, wwwData))
	// The module's own folder may be closed to others.
	front := filepath.Join(o.Dir, "front")
	require.NoError(t, os.CopyFS(filepath.Join(front, "kongring"), os.DirFS(filepath.Join(build.LuaPath(), "kongring"))))
	o.Host.LuaPath = []string{front}
	o.Host.User = "nobody nogroup"
	o.Credential = &syscall.Credential{Uid: wwwData, Gid: wwwData, Groups: []uint32{nogroup}}
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("skipped: other users' processes take root to start")
	}
}

// statusOf gives a line of what the kernel says of a process.
func statusOf(t *testing.T, pid int, field string) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, field+":\t"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func TestTwoUsers(t *testing.T) {
	needRoot(t)
	for _, carrier := range []string{"ring", "socket"} {
		t.Run(carrier, func(t *testing.T) {
			if carrier == "socket" {
				overSocket(t)
			}
			b := start(t, func(o *testbed.Options) {
				twoUsers(t, o)
				o.Args = []string{"-socket-group", "nogroup", "-allow-user", "nobody"}
			})
			require.Equal(t, 200, b.do("all").status)
			require.Equal(t, carrier, b.carrierNow())
			workers, err := b.Host.Workers()
			require.NoError(t, err)
			require.Equal(t, "65534\t65534\t65534\t65534", statusOf(t, workers[0], "Uid"))
			require.Equal(t, "33\t33\t33\t33", statusOf(t, b.Server.PID(), "Uid"))

			// Each side finds the other one again.
			require.NoError(t, b.Host.Reload(b.ctx))
			b.answers()
			b.Server.Kill()
			require.NoError(t, b.StartServer(b.ctx))
			b.eventually("requests succeed again", func() bool { return b.do("all").status == 200 })
			stats, err := b.Server.Stats()
			require.NoError(t, err)
			require.Zero(t, stats.Refused)
		})
	}
}

// The worker's log and the server's say which of the two doors is closed.
func TestUserThatMayNotAttach(t *testing.T) {
	needRoot(t)
	for name, tc := range map[string]struct {
		args []string
		says string
	}{
		"list of users": {[]string{"-socket-group", "nogroup"}, "the server refused: uid 65534 may not attach"},
		"socket":        {[]string{"-allow-user", "nobody"}, `failed to connect to \S+: Permission denied`},
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t, func(o *testbed.Options) { twoUsers(t, o); o.Args = tc.args })
			require.Equal(t, 503, b.do("nothing").status)
			b.logged(tc.says)
			stats, err := b.Server.Stats()
			require.NoError(t, err)
			require.Zero(t, stats.SessionsBegun)
			if name == "socket" {
				require.Zero(t, stats.Denied)
				return
			}
			require.NotZero(t, stats.Denied)
			b.logged(`connection refused peer="pid \d+ uid 65534" reason="uid 65534 may not attach"`)
		})
	}
}
