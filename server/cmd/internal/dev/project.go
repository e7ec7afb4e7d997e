package dev

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// project is the package with the plugin.
type project struct {
	dir  string // absolute
	root string // of its module
}

// listed is what go list tells of a package.
type listed struct {
	Dir                           string
	Standard                      bool
	Module                        *struct{ GoMod string }
	CFiles, CXXFiles, HFiles      []string
	SFiles, SysoFiles, EmbedFiles []string
}

// sources are what a program is built from, as far as it can change: all but the
// standard library and the module cache.
type sources struct {
	dirs  []string // of packages and modules
	files []string // besides those that end like Go files
}

// notGo is a go command that said no; its text is what it printed.
type notGo struct {
	error
	text string
}

// look tells whether there is a program here.
func (p *project) look(ctx context.Context) error {
	mod, err := p.run(ctx, "env", "GOMOD")
	if errors.Is(err, exec.ErrNotFound) {
		return errors.New("there is no Go here: install it from https://go.dev/doc/install")
	}
	if err != nil {
		return err
	}
	if mod = strings.TrimSpace(mod); mod == "" || mod == os.DevNull {
		return fmt.Errorf("%s is in no Go module: write go.mod by go mod init, or the whole plugin by kongring new", p.dir)
	}
	p.root = filepath.Dir(mod)
	name, err := p.run(ctx, "list", "-e", "-f", "{{.Name}}", ".")
	var said notGo
	switch {
	case errors.As(err, &said):
		return fmt.Errorf("%s: %s", p.dir, said.text)
	case err != nil:
		return err
	case strings.TrimSpace(name) != "main":
		return fmt.Errorf("%s has no package main: name the folder with the plugin's func main", p.dir)
	}
	return nil
}

// sources asks the go command what the program is built from. That works as well
// where it does not build.
func (p *project) sources(ctx context.Context) (s sources, err error) {
	cache, err := p.run(ctx, "env", "GOMODCACHE", "GOWORK")
	if err != nil {
		return s, err
	}
	cache, work, _ := strings.Cut(strings.TrimSpace(cache), "\n")
	if work != "" && work != "off" {
		s.dirs = append(s.dirs, filepath.Dir(work))
	}
	fields := "-json=Dir,Standard,Module,CFiles,CXXFiles,HFiles,SFiles,SysoFiles,EmbedFiles"
	out, err := p.run(ctx, "list", "-e", "-deps", fields, ".")
	if err != nil {
		return s, err
	}
	for d := json.NewDecoder(strings.NewReader(out)); ; {
		var l listed
		if err := d.Decode(&l); errors.Is(err, io.EOF) {
			return s, nil
		} else if err != nil {
			return s, fmt.Errorf("go list: %w", err)
		}
		if l.Standard || l.Dir == "" || within(l.Dir, cache) {
			continue
		}
		s.dirs = append(s.dirs, l.Dir)
		if l.Module != nil && l.Module.GoMod != "" {
			s.dirs = append(s.dirs, filepath.Dir(l.Module.GoMod))
		}
		for _, names := range [][]string{l.CFiles, l.CXXFiles, l.HFiles, l.SFiles, l.SysoFiles, l.EmbedFiles} {
			for _, name := range names {
				path := filepath.Join(l.Dir, name)
				s.files = append(s.files, path)
				s.dirs = append(s.dirs, filepath.Dir(path))
			}
		}
	}
}

// within tells whether a path is a folder or below it.
func within(path, folder string) bool {
	return folder != "" && (path == folder || strings.HasPrefix(path, folder+string(filepath.Separator)))
}

// program is one that was built.
type program struct {
	path string
	sum  [sha256.Size]byte // two with the same are the same program
	took time.Duration
}

// build builds the program into a folder that is not there yet. It has the name
// that the go command gives it, as the plugin is named like it.
func (p *project) build(ctx context.Context, into string) (b program, err error) {
	start := time.Now()
	if err := os.Mkdir(into, 0o700); err != nil {
		return b, err
	}
	if _, err := p.run(ctx, "build", "-buildvcs=false", "-o", into+string(filepath.Separator), "."); err != nil {
		return b, err
	}
	entries, err := os.ReadDir(into)
	if err == nil && len(entries) != 1 {
		err = fmt.Errorf("go build wrote %d files, want a program", len(entries))
	}
	if err != nil {
		return b, err
	}
	b.path = filepath.Join(into, entries[0].Name())
	file, err := os.Open(b.path)
	if err != nil {
		return b, err
	}
	defer file.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return b, err
	}
	hash.Sum(b.sum[:0])
	b.took = time.Since(start)
	return b, nil
}

// run runs the go command in the program's folder and gives what it prints. The
// end of ctx interrupts it: it takes away its own temporary files then.
func (p *project) run(ctx context.Context, args ...string) (string, error) {
	var out, said bytes.Buffer
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = p.dir, &out, &said
	// A Ctrl-C reaches it through this process alone, and then its compilers too.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	cmd.WaitDelay = 10 * time.Second
	err := cmd.Run()
	var failed *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case errors.As(err, &failed):
		return "", notGo{err, strings.TrimSpace(said.String())}
	}
	return out.String(), err
}
