package compat

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/luabridge/pages"
)

// guide is the page whose commands these tests run.
const guide = "../../MIGRATING.md"

// commands gives the shell commands that stand below a heading of the guide.
func commands(t testing.TB, heading string) string {
	t.Helper()
	page, err := pages.Read(guide)
	require.NoError(t, err)
	blocks := page.Below(heading, "sh")
	require.Len(t, blocks, 1, "commands below %q", heading)
	return blocks[0].Text
}

// here makes a module's `go get` find this tree, whatever is published: a
// replacement, and no look at a proxy, which could not know what is here. What
// this module requires itself is fetched before.
func here(t testing.TB) string {
	pages.Run(t, pages.Root(t), "go mod download")
	return fmt.Sprintf("export GOPROXY=off GOSUMDB=off\ngo mod edit -replace github.com/kongring/kongring=%s\n", pages.Root(t))
}
