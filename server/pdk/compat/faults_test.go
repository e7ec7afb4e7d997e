package compat

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Each test that the page of faults names is where it says.
func TestFaultsNameTests(t *testing.T) { namesTests(t, "../../FAULTS.md") }

// And so with the page of questions.
func TestQuestionsNameTests(t *testing.T) { namesTests(t, "../../../luabridge/FAQ.md") }

func namesTests(t *testing.T, path string) {
	t.Helper()
	page, err := os.ReadFile(path)
	require.NoError(t, err)
	rows := 0
	for line := range strings.Lines(string(page)) {
		if !strings.HasPrefix(line, "| ") || strings.HasSuffix(line, "| test |\n") {
			continue
		}
		rows++
		named := regexp.MustCompile("`([a-z/0-9]+) (Test[A-Za-z]+)`").FindAllStringSubmatch(line, -1)
		if !strings.HasSuffix(line, "| – |\n") {
			require.NotEmpty(t, named, line)
		}
		for _, n := range named {
			found := false
			for _, file := range glob(t, filepath.Join(root(t), n[1], "*_test.go")) {
				text, err := os.ReadFile(file)
				require.NoError(t, err)
				found = found || strings.Contains(string(text), "\nfunc "+n[2]+"(t *testing.T)")
			}
			require.True(t, found, "%s in %s", n[2], n[1])
		}
	}
	require.Greater(t, rows, 20)
}
