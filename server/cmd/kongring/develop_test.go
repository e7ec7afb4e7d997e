package main_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// source is the folder of this source.
func source(t *testing.T) string {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/kongring/kongring").Output()
	require.NoError(t, err)
	return strings.TrimSpace(string(out))
}

// checkout has this source in the folder checkout.
func (s *stage) checkout() {
	s.Helper()
	out, err := exec.Command("go", "mod", "download").CombinedOutput()
	require.NoError(s, err, string(out))
	s.Setenv("GOPROXY", "off")
	s.Setenv("GOSUMDB", "off")
	if err := os.Symlink(source(s.T), s.path("checkout")); !errors.Is(err, fs.ErrExist) {
		require.NoError(s, err)
	}
}
