package bench

import (
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPingPongCompiles(t *testing.T) {
	program, err := BuildPingPong(t.TempDir())
	require.NoError(t, err)
	out, err := exec.Command(program).CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, 2, exit.ExitCode())
	require.Equal(t, "usage: pingpong CPU CPU ROUND-TRIPS RUNS\n", string(out))
}

func TestMachineIsDescribed(t *testing.T) {
	require.Regexp(t, `^CPU .*\nkernel .*\nGo .*\nLuaJIT .*\nload .*\n$`, Machine())
}
