package luabridge

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestLuaRing runs the Lua twins of the cases of ring/ring_test.go and
// ring/hostile_test.go.
func TestLuaRing(t *testing.T) { runSpec(t, "spec/ring_spec.lua", 31) }

// TestLuaStream runs the Lua twins of the cases of server/stream_test.go.
func TestLuaStream(t *testing.T) { runSpec(t, "spec/stream_spec.lua", 9) }

// TestLuaSpares looks at the memory of long messages.
func TestLuaSpares(t *testing.T) { runSpec(t, "spec/spares_spec.lua", 6) }

// TestLuaPrefetch looks at values that are too long to travel with an event.
func TestLuaPrefetch(t *testing.T) { runSpec(t, "spec/prefetch_spec.lua", 3) }

// TestLuaSubsystem looks at what differs in nginx's stream subsystem, without it.
func TestLuaSubsystem(t *testing.T) { runSpec(t, "spec/subsystem_spec.lua", 4) }

// TestLuaSys runs the Lua twins of cases of the package shm: what a server hands
// over.
func TestLuaSys(t *testing.T) { runSpec(t, "spec/sys_spec.lua", 17) }

// TestLuaWait looks at a server that keeps a worker busy.
func TestLuaWait(t *testing.T) { runSpec(t, "spec/wait_spec.lua", 1) }

// TestLuaGolden compares the bridge with the golden frames of server/wire.
func TestLuaGolden(t *testing.T) { runSpec(t, "spec/golden_spec.lua", 10) }

// runSpec runs a spec that prints a line for each of its cases.
func runSpec(t *testing.T, path string, want int) {
	t.Helper()
	requireLuajit(t)
	library, err := BuildHelper("cc", t.TempDir())
	require.NoError(t, err)

	cmd := exec.Command("luajit", path)
	cmd.Env = append(os.Environ(), "LUA_PATH=./?.lua;;", "KONGRING_HELPER="+library)
	out, err := cmd.CombinedOutput()
	cases := 0
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "ok "); ok {
			cases++
			t.Run(name, func(*testing.T) {})
		} else if text, ok := strings.CutPrefix(line, "not ok "); ok {
			name, why, _ := strings.Cut(text, ": ")
			t.Run(name, func(t *testing.T) { t.Error(strings.ReplaceAll(why, `\n`, "\n")) })
		} else {
			t.Log(line)
		}
	}
	require.NoError(t, err, "luajit")
	require.Equal(t, want, cases, "cases of the spec that passed")
}
