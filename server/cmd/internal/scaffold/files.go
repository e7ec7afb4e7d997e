package scaffold

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"text/template"
)

//go:embed template/*.tmpl
var sources embed.FS

var templates = template.Must(template.ParseFS(sources, "template/*.tmpl"))

// templateOf gives the template of each file, in the order in which they are
// written. The names of some would mean something to the go command or to git.
var templateOf = []struct{ file, template string }{
	{"go.mod", "go.mod.tmpl"},
	{"main.go", "main.go.tmpl"},
	{"main_test.go", "main_test.go.tmpl"},
	{"README.md", "README.md.tmpl"},
	{".gitignore", "gitignore.tmpl"},
}

// values are what the templates are filled with.
type values struct {
	Name    string // of the plugin
	Header  string // that it sets; nginx makes "-" of each "_" in a header's name
	Module  string // path of its module
	Version string // of kongring
	Folder  string // with kongring's source; "" if it is fetched
	Go      string // the least version of Go
}

// file is one that is to be written.
type file struct {
	path string
	text []byte
}

// render gives the files of a plugin in the folder dir.
func render(dir string, v values) (files []file, err error) {
	for _, t := range templateOf {
		var text bytes.Buffer
		if err := templates.ExecuteTemplate(&text, t.template, v); err != nil {
			return nil, fmt.Errorf("template of %s: %w", t.file, err)
		}
		files = append(files, file{filepath.Join(dir, t.file), text.Bytes()})
	}
	return files, nil
}

// free tells whether there is no file yet in the place of one of these.
func free(files []file) error {
	for _, f := range files {
		switch _, err := os.Lstat(f.path); {
		case err == nil:
			return fmt.Errorf("%s is there already, and is not overwritten: choose another --dir, or move it away", f.path)
		case !errors.Is(err, fs.ErrNotExist):
			return err
		}
	}
	return nil
}

// write writes the files, none over another. Where that fails, it takes away what
// it has written, and the folder if it made it.
func write(dir string, files []file) (err error) {
	_, statErr := os.Stat(dir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var written []string
	defer func() {
		if err == nil {
			return
		}
		for _, path := range written {
			_ = os.Remove(path)
		}
		if errors.Is(statErr, fs.ErrNotExist) {
			_ = os.Remove(dir)
		}
	}()
	for _, f := range files {
		out, err := os.OpenFile(f.path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if err != nil {
			return err
		}
		written = append(written, f.path)
		_, err = out.Write(f.text)
		if err = errors.Join(err, out.Close()); err != nil {
			return err
		}
	}
	return nil
}
