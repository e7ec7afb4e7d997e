package bench

import (
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestProgramsCompile(t *testing.T) {
	for usage, build := range map[string]func(string) (string, error){
		"usage: pingpong CPU CPU ROUND-TRIPS RUNS\n":     BuildPingPong,
		"usage: limits CPU CPU ROUND-TRIPS [BYTES...]\n": BuildLimits,
	} {
		program, err := build(t.TempDir())
		require.NoError(t, err)
		out, err := exec.Command(program).CombinedOutput()
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit)
		require.Equal(t, 2, exit.ExitCode())
		require.Equal(t, usage, string(out))
	}
}

func TestMachineIsDescribed(t *testing.T) {
	require.Regexp(t, `^CPU .*\nkernel .*\nGo .*\nLuaJIT .*\nload .*\n$`, Machine())
}
