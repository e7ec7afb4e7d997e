package kongtest_test

import (
	"encoding/json"
	"flag"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/luabridge/kongrun"
)

var update = flag.Bool("update", false, "write the findings of the conformance suite, for METHODS.md")

// findingsFile has what the conformance suite found in one version of Kong;
// layoutgen puts it into METHODS.md.
const findingsFile = "../layoutgen/kong.json"

type findings struct {
	Version string
	Methods map[string][]string // phases, by the name in Lua
}

// compareFindings looks whether the file says what was found.
func compareFindings(t *testing.T, found map[string][]string) {
	version, err := kongrun.Version(t.Context())
	require.NoError(t, err)
	if *update {
		text, err := json.MarshalIndent(findings{version, found}, "", "  ")
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(findingsFile, append(text, '\n'), 0o644))
		return
	}
	text, err := os.ReadFile(findingsFile)
	require.NoError(t, err)
	var want findings
	require.NoError(t, json.Unmarshal(text, &want))
	if version != want.Version {
		t.Skipf("skipped: the findings are those of Kong %s, and this is %s", want.Version, version)
	}
	require.Equal(t, want.Methods, found, "run this test with -update, and make generate")
}
