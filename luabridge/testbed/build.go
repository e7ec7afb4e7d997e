// Package testbed puts the whole of kongring together on one machine: plugin
// server, nginx with the bridge, upstream. The demo, the end-to-end tests and
// the benchmarks stand on it.
package testbed

import (
	"cmp"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/kongring/kongring/luabridge"
)

// Build is what was compiled for a run.
type Build struct {
	Root    string   // of the module's source
	Server  string   // binary of the plugin server
	Args    []string // that make the binary one, before its flags; most need none
	Library string   // the C helper
	Lua     string   // folder with the bridge's folder kongring, where it is not the source's
}

// Examples is the package of the server of the example plugins.
const Examples = "./server/examples/cmd/examples"

// Compile builds the plugin server in the package at path, from the module's
// root, and the C helper into dir. flags go to go build, such as "-race".
func Compile(ctx context.Context, dir, path string, flags ...string) (Build, error) {
	root, err := moduleRoot(ctx)
	if err != nil {
		return Build{}, err
	}
	b := Build{Root: root, Server: filepath.Join(dir, filepath.Base(path))}
	args := append([]string{"build", "-o", b.Server}, flags...)
	cmd := exec.CommandContext(ctx, "go", append(args, path)...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return Build{}, fmt.Errorf("build plugin server: %w: %s", err, out)
	}
	if b.Library, err = luabridge.BuildHelper("cc", dir); err != nil {
		return Build{}, err
	}
	return b, nil
}

// LuaPath is the folder with the bridge's modules.
func (b Build) LuaPath() string { return cmp.Or(b.Lua, filepath.Join(b.Root, "luabridge")) }

func moduleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/kongring/kongring").Output()
	if err != nil {
		return "", fmt.Errorf("find the module's source: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}
