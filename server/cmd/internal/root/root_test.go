package root_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/server/cmd/internal/exit"
	"github.com/kongring/kongring/server/cmd/internal/root"
	"github.com/kongring/kongring/server/wire"
	"github.com/kongring/kongring/shm"
)

func run(args ...string) (status int, out, errOut string) {
	var o, e bytes.Buffer
	status = root.Main(args, &o, &e)
	return status, o.String(), e.String()
}

func TestHelpAndCompletion(t *testing.T) {
	for _, args := range [][]string{nil, {"--help"}, {"help"}, {"help", "top"}, {"doctor", "-h"}} {
		status, out, errOut := run(args...)
		require.Equal(t, exit.Fine, status)
		require.Empty(t, errOut)
		require.Contains(t, out, "Usage:\n  kongring", args)
		for line := range strings.Lines(out) {
			require.LessOrEqual(t, utf8.RuneCountInString(line), 86, line)
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		status, out, _ := run("completion", shell)
		require.Equal(t, exit.Fine, status)
		require.Contains(t, out, "kongring")
	}
	_, out, _ := run("__complete", "top", "--sort", "")
	require.Contains(t, out, "events\n")
}

// The version of the two sides is what doctor compares; the command's own is its
// build's.
func TestVersion(t *testing.T) {
	status, out, errOut := run("--version")
	require.Equal(t, exit.Fine, status)
	require.Empty(t, errOut)
	require.Regexp(t, fmt.Sprintf(`^kongring \S+ \(bridge and servers %d\.%d\)\n$`, shm.Version, wire.Version), out)
}

func TestMistypedCommand(t *testing.T) {
	for _, tc := range []struct {
		line string
		args []string
	}{
		{`did you mean doctor?`, []string{"docter"}},
		{`unknown command "xyzzy"; see kongring --help`, []string{"xyzzy"}},
		{`unknown flag: --xyzzy; see kongring --help`, []string{"--xyzzy"}},
		{`see kongring top --help`, []string{"top", "--interval", "soon"}},
	} {
		status, out, errOut := run(tc.args...)
		require.Equal(t, exit.Usage, status)
		require.Empty(t, out)
		require.Contains(t, errOut, tc.line)
		require.Equal(t, 1, strings.Count(errOut, "\n"))
	}
}
