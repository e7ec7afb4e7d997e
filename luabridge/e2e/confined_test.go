package e2e_test

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/luabridge/testbed"
	limits "github.com/kongring/kongring/luabridge/testbed/confine"
)

// confined makes start confine the plugin servers.
var confined bool

// confine takes from the plugin server what the unit for systemd does not leave
// it. Where this process is root's, it gets a user who may write nowhere but into
// the folder of its socket.
func confine(t *testing.T, o *testbed.Options) {
	t.Helper()
	o.Args = append(slices.Clone(o.Args), "-confined")
	if os.Getuid() == 0 {
		require.NoError(t, os.Chown(o.Dir, wwwData, wwwData))
		o.Credential = &syscall.Credential{Uid: wwwData, Gid: wwwData}
	}
}

func confinedIn(t *testing.T) {
	confined = true
	t.Cleanup(func() { confined = false })
}

// The kernel says that the server is confined; the log, whether it refuses
// memory that could be executed.
func TestConfinedServer(t *testing.T) {
	confinedIn(t)
	b := start(t, nil)
	b.answers()
	require.Equal(t, "ring", b.carrierNow())
	pid := b.Server.PID()
	require.Equal(t, "1", statusOf(t, pid, "NoNewPrivs"))
	require.Equal(t, "2", statusOf(t, pid, "Seccomp"), "a filter")
	if os.Getuid() == 0 {
		require.Equal(t, strings.Repeat("0", 16), statusOf(t, pid, "CapEff"))
	}
	b.logged("probe: confined, memory that could be executed refused: ")
}

// A confined server does what one with all rights does. The kernel ends one that
// makes a system call beyond.
func TestConfined(t *testing.T) {
	for name, test := range map[string]func(*testing.T){
		"getters":             TestGetters,
		"bodies":              TestBodiesOfAllSizes,
		"log phase":           TestLogPhase,
		"many at once":        TestManyAtOnce,
		"panic":               TestPanicFailsItsRequestOnly,
		"server's death":      TestServerDeathFailsAtOnce,
		"worker's death":      TestWorkerDeathFreesItsSession,
		"reload":              TestReloadUnderLoad,
		"graceful stop":       TestServerStopsGracefully,
		"handshake":           TestHandshake,
		"death while leaving": TestServerDeathWhileTheWorkerLeaves,
	} {
		for _, carrier := range []string{"ring", "socket"} {
			t.Run(name+" "+carrier, func(t *testing.T) {
				if carrier == "socket" {
					overSocket(t)
				}
				confinedIn(t)
				test(t)
			})
		}
	}
}

// What the tests allow is what systemd's set has.
func TestCallsAreSystemServices(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("skipped: systemd-analyze is not installed, which knows the calls in @system-service")
	}
	has := map[string]bool{}
	var add func(set string)
	add = func(set string) {
		out, err := exec.Command("systemd-analyze", "syscall-filter", "--no-pager", set).Output()
		require.NoError(t, err)
		for _, line := range strings.Split(string(out), "\n")[1:] { // below the set's own name
			switch name := strings.TrimSpace(line); {
			case strings.HasPrefix(name, "@"):
				add(name)
			case !strings.HasPrefix(name, "#"):
				has[name] = true
			}
		}
	}
	add("@system-service")
	for name := range limits.Calls {
		require.True(t, has[name], name)
	}
	require.True(t, has["socket"])
}
