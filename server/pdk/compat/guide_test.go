package compat

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// guide is the page whose commands these tests run.
const guide = "../../MIGRATING.md"

// commands gives the shell commands that stand below a heading of the guide.
func commands(t testing.TB, heading string) string {
	t.Helper()
	text, err := os.ReadFile(guide)
	require.NoError(t, err)
	_, section, found := strings.Cut(string(text), "\n## "+heading+"\n")
	require.True(t, found, "heading %q", heading)
	section, _, _ = strings.Cut(section, "\n## ")
	block := regexp.MustCompile("(?s)\n```sh\n(.*?)```\n").FindAllStringSubmatch(section, -1)
	require.Len(t, block, 1, "commands below %q", heading)
	return block[0][1]
}

// run runs commands in a folder and gives what they print.
func run(t testing.TB, dir, script string) string {
	t.Helper()
	cmd := exec.Command("sh", "-eu", "-c", script)
	cmd.Dir = dir
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	require.NoError(t, cmd.Run(), "%s\nin %s: %s%s", script, dir, out.String(), errs.String())
	return out.String()
}

// root is the folder of this project's module.
func root(t testing.TB) string {
	t.Helper()
	return strings.TrimSpace(run(t, ".", "go list -m -f '{{.Dir}}' github.com/kongring/kongring"))
}

// here makes a module's `go get` find this tree, whatever is published: a
// replacement, and no look at a proxy, which could not know what is here. What
// this module requires itself is fetched before.
func here(t testing.TB) string {
	run(t, root(t), "go mod download")
	return fmt.Sprintf("export GOPROXY=off GOSUMDB=off\ngo mod edit -replace github.com/kongring/kongring=%s\n", root(t))
}
