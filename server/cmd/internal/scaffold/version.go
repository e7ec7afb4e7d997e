package scaffold

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"

	"github.com/kongring/kongring/server/cmd/internal/exit"
)

const kongring = "github.com/kongring/kongring"

// unpublished is the version that go.mod requires where a folder replaces the
// module: the go command wants one.
const unpublished = "v0.0.0"

// ownVersion is the version of kongring that this command was built from, "" if
// that is none that the go command could fetch.
func ownVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, m := range append(info.Deps, &info.Main) {
		if m.Path == kongring && m.Replace == nil && strings.HasPrefix(m.Version, "v") && !strings.Contains(m.Version, "+") {
			return m.Version
		}
	}
	return ""
}

// moduleLine is the line of a go.mod that names the module.
var moduleLine = regexp.MustCompile(`(?m)^module\s+"?` + regexp.QuoteMeta(kongring) + `"?\s*$`)

// requirement gives the version of kongring to require, and the folder to take it
// from, "" where it is fetched.
func requirement(replace string) (version, folder string, err error) {
	if replace == "" {
		if version = ownVersion(); version == "" {
			return "", "", exit.Misuse("this kongring was built from a checkout, which has no version to require: name the checkout by --replace PATH")
		}
		return version, "", nil
	}
	if folder, err = filepath.Abs(replace); err != nil {
		return "", "", err
	}
	text, err := os.ReadFile(filepath.Join(folder, "go.mod"))
	if err != nil {
		return "", "", fmt.Errorf("flag --replace: %w", err)
	}
	if !moduleLine.Match(text) {
		return "", "", exit.Misuse("flag --replace: %s is no checkout of %s", replace, kongring)
	}
	return unpublished, folder, nil
}
