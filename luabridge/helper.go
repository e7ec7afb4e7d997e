package luabridge

import (
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

//go:embed helper/kongring.c
var helperSource []byte

//go:embed helper/kongring_layout.h
var helperLayout []byte

// helperFlags are the compiler's flags for the C helper, in the words that the
// Makefile reads too.
//
//go:embed helper/flags
var helperFlags string

// BuildHelper compiles the C helper into dir with the C compiler cc and gives
// the path of the library, for the environment variable KONGRING_HELPER or to
// be put beside [Modules]. Where there is no such compiler the error wraps
// [exec.ErrNotFound].
func BuildHelper(cc, dir string) (string, error) {
	source := filepath.Join(dir, "kongring.c")
	if err := os.WriteFile(source, helperSource, 0o600); err != nil {
		return "", fmt.Errorf("write helper source: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "kongring_layout.h"), helperLayout, 0o600); err != nil {
		return "", fmt.Errorf("write helper source: %w", err)
	}
	library := filepath.Join(dir, "libkongring.so")
	out, err := exec.Command(cc, append(strings.Fields(helperFlags), "-o", library, source)...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("compile helper: %w: %s", err, out)
	}
	return library, nil
}
