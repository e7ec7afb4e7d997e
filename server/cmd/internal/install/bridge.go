package install

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/kongring/kongring/luabridge"
	"github.com/kongring/kongring/server/cmd/internal/exit"
)

const (
	recordName = "kongring-installed.json"
	helperName = "libkongring.so"
)

// bridgeFolder is where the bridge stands below a prefix.
func bridgeFolder(prefix string) string {
	return filepath.Join(prefix, "share", "lua", "5.1", "kongring")
}

// bridge gives the files of the bridge: the Lua modules that are in this
// command, and the C helper.
func bridge(o options) (map[string]file, error) {
	helper, err := helper(o)
	if err != nil {
		return nil, err
	}
	dir := bridgeFolder(o.prefix)
	files := map[string]file{filepath.Join(dir, helperName): {helper, 0o755}}
	modules := luabridge.Modules()
	names, err := fs.Glob(modules, "*.lua")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		text, err := fs.ReadFile(modules, name)
		if err != nil {
			return nil, err
		}
		files[filepath.Join(dir, name)] = file{text, 0o644}
	}
	return files, nil
}

// helper gives the C helper: the one that is given, or one made now.
func helper(o options) ([]byte, error) {
	if o.helper != "" {
		text, err := os.ReadFile(o.helper)
		if err != nil {
			return nil, fmt.Errorf("flag --helper: %w", err)
		}
		if string(text[:min(4, len(text))]) != "\x7fELF" {
			return nil, fmt.Errorf("flag --helper: %s is no library: name a %s that kongring install made elsewhere", o.helper, helperName)
		}
		return text, nil
	}
	dir, err := os.MkdirTemp("", "kongring-helper-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path, err := luabridge.BuildHelper(o.cc, dir)
	if errors.Is(err, exec.ErrNotFound) {
		return nil, fmt.Errorf("no C compiler %s to make %s with: install gcc, or give one made elsewhere by --helper PATH", o.cc, helperName)
	}
	// Ctrl-C reaches the compiler too, which may be the first to end by it.
	if ended := new(exec.ExitError); errors.As(err, &ended) {
		if status, ok := ended.Sys().(syscall.WaitStatus); ok && status.Signal() == syscall.SIGINT {
			return nil, exit.Interrupted
		}
	}
	if err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}
