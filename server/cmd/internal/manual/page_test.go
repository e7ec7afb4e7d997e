package main

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/server/cmd/internal/root"
)

// rendered is what man shows of a page; it has no complaints.
func rendered(t *testing.T, page string) string {
	t.Helper()
	if _, err := exec.LookPath("groff"); err != nil {
		t.Skip("skipped: groff is not installed, by which man shows pages")
	}
	cmd := exec.Command("groff", "-k", "-man", "-Tutf8", "-P-cbou", "-ww", "-rLL=200n")
	cmd.Stdin = strings.NewReader(page)
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	require.NoError(t, err)
	require.Empty(t, complaints.String())
	return string(out)
}

func TestPageHasEachCommand(t *testing.T) {
	cmd := root.New()
	text := rendered(t, page(cmd))
	require.Contains(t, text, "kongring - "+cmd.Short)
	for _, sub := range cmd.Commands() {
		if sub.Hidden {
			continue
		}
		require.Contains(t, text, sub.UseLine())
		for line := range strings.Lines(sub.LocalFlags().FlagUsages() + sub.Example) {
			require.Contains(t, text, strings.TrimSpace(line))
		}
	}
}

func TestPageKeepsWhatManWouldTake(t *testing.T) {
	cmd := &cobra.Command{Use: "c"}
	const line = `.so a\b 'c' -d ^~` + "`µ"
	cmd.AddCommand(&cobra.Command{Use: "x", Run: func(*cobra.Command, []string) {}, Long: line + "\n  as it is", Example: line})
	cmd.AddCommand(&cobra.Command{Use: "hidden", Run: func(*cobra.Command, []string) {}, Hidden: true})
	text := rendered(t, page(cmd))
	require.Equal(t, 2, strings.Count(text, line), text)
	require.NotContains(t, text, "hidden")
}
