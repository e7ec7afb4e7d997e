package install

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/kongring/kongring/server/cmd/internal/exit"
)

const (
	module = "github.com/kongring/kongring"
	itself = module + "/server/cmd/kongring"

	// patience is how long a plugin binary may take to write its modules.
	patience = 30 * time.Second
)

// binaries gives the plugin binaries that the arguments name: files, and of
// folders those programs in them that were built with kongring.
func binaries(args []string) (found []string, err error) {
	for _, arg := range args {
		path, err := filepath.Abs(arg)
		if err != nil {
			return nil, err
		}
		info, err := os.Stat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("%s does not exist: build the plugin first", arg)
		case err != nil:
			return nil, err
		case info.IsDir():
			inside, err := programs(path)
			if err != nil {
				return nil, err
			}
			if len(inside) == 0 {
				return nil, fmt.Errorf("no program in %s was built with kongring: build the plugins into it first", arg)
			}
			found = append(found, inside...)
		case !BuiltWith(path):
			return nil, fmt.Errorf("%s was not built with kongring: name a plugin binary, or a folder of them", arg)
		default:
			found = append(found, path)
		}
	}
	return found, nil
}

// programs are the plugin binaries of a folder.
func programs(dir string) (found []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		info, err := os.Stat(path) // of what a link leads to
		if err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 && BuiltWith(path) {
			found = append(found, path)
		}
	}
	return found, nil
}

// BuiltWith tells whether a file is a Go program with kongring in it, and not
// this command.
func BuiltWith(path string) bool {
	info, err := buildinfo.ReadFile(path)
	if err != nil || info.Path == itself {
		return false
	}
	if info.Main.Path == module {
		return true
	}
	for _, m := range info.Deps {
		if m.Path == module {
			return true
		}
	}
	return false
}

// plugins gives the modules that a binary writes for its plugins, by path
// below kong/plugins.
func plugins(ctx context.Context, binary string, flags []string) (map[string][]byte, error) {
	stage, err := os.MkdirTemp("", "kongring-install-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(stage)
	if err := run(ctx, binary, append(flags, "-install", stage)...); err != nil {
		return nil, err
	}
	root := os.DirFS(filepath.Join(stage, "kong", "plugins"))
	written := map[string][]byte{}
	err = fs.WalkDir(root, ".", func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			written[path], err = fs.ReadFile(root, path)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%s -install wrote nothing that can be read: is it a plugin of kongring? %w", binary, err)
	}
	return written, nil
}

// run runs a plugin binary; its error has the binary's first line.
func run(ctx context.Context, binary string, args ...string) error {
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var said bytes.Buffer
	cmd := exec.CommandContext(limited, binary, args...)
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &said, &said, time.Second
	err := cmd.Run()
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case limited.Err() != nil:
		return fmt.Errorf("%s did not end within %v of -install: is it a plugin of kongring?", binary, patience)
	}
	line, _, _ := strings.Cut(strings.TrimSpace(said.String()), "\n")
	return fmt.Errorf("%s -install: %w: %s", binary, err, line)
}

// placeholder stands for a binary's name in --socket, as it does in a unit of
// systemd's.
const placeholder = "%i"

// checkSocket refuses one socket for several binaries.
func (o options) checkSocket(binaries int) error {
	if o.socket != "" && !strings.Contains(o.socket, placeholder) && binaries > 1 {
		return exit.Misuse("flag --socket names one socket, and there are %d plugin binaries: put %s into it for their names, or use --kong-prefix", binaries, placeholder)
	}
	return nil
}

// socketFlags are the flags by which a binary knows its socket.
func (o options) socketFlags(binary string) []string {
	if o.socket != "" {
		return []string{"-socket", strings.ReplaceAll(o.socket, placeholder, filepath.Base(binary))}
	}
	return []string{"-kong-prefix", o.kongPrefix}
}
