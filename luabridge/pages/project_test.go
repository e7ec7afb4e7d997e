package pages_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/luabridge/pages"
)

// project is what pages speak of.
type project struct {
	root    string
	pages   []*pages.Page     // paths from the root
	files   map[string]bool   // and folders, from the root
	bases   map[string]bool   // their last parts
	source  map[string]string // Go, Lua and C, without tests, and the Makefile
	exports map[string]bool   // of package server
	tests   map[string]bool   // "folder TestName"

	variables map[string]bool // of the environment that the code names, tests too
}

var testName = regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\)`)

func readProject(t *testing.T) *project {
	t.Helper()
	p := &project{
		root: pages.Root(t), files: map[string]bool{}, bases: map[string]bool{}, source: map[string]string{},
		exports: map[string]bool{}, tests: map[string]bool{}, variables: map[string]bool{},
	}
	err := filepath.WalkDir(p.root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(p.root, path)
		if err != nil {
			return err
		}
		if d.Name() == ".git" {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		p.files[name], p.bases[d.Name()] = true, true
		if d.IsDir() {
			return nil
		}
		switch filepath.Ext(name) {
		case ".go", ".lua", ".c", "":
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if !strings.HasSuffix(name, "_test.go") {
				p.source[name] = string(text)
			}
			for _, variable := range ownVariable.FindAllString(string(text), -1) {
				if filepath.Dir(name) != "luabridge/pages" { // its cases are no readers
					p.variables[variable] = true
				}
			}
			for _, m := range testName.FindAllStringSubmatch(string(text), -1) {
				p.tests[filepath.Dir(name)+" "+m[1]] = true
			}
		case ".md":
			page, err := pages.Read(path)
			if err != nil {
				return err
			}
			page.Path = name
			p.pages = append(p.pages, page)
		}
		return nil
	})
	require.NoError(t, err)
	p.readExports(t)
	require.Greater(t, len(p.pages), 15)
	require.Greater(t, len(p.tests), 300)
	return p
}

// readExports finds what package server exports.
func (p *project) readExports(t *testing.T) {
	for name, text := range p.source {
		if filepath.Dir(name) != "server" || filepath.Ext(name) != ".go" {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, d := range file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil && d.Name.IsExported() {
					p.exports[d.Name.Name] = true
				}
			case *ast.GenDecl:
				for _, s := range d.Specs {
					switch s := s.(type) {
					case *ast.TypeSpec:
						p.exports[s.Name.Name] = true
					case *ast.ValueSpec:
						for _, n := range s.Names {
							p.exports[n.Name] = true
						}
					}
				}
			}
		}
	}
	require.True(t, p.exports["StartServer"])
}

// in tells whether any source file below a folder has a text.
func (p *project) in(folder, text string) bool {
	for name, source := range p.source {
		if strings.HasPrefix(name, folder) && strings.Contains(source, text) {
			return true
		}
	}
	return false
}

var option = regexp.MustCompile(`(?m)^func ([A-Z]\w*)\([^)]*\) (Option|PluginOption) {`)

// options are the functions of package server that give an option.
func (p *project) options(t *testing.T) (names []string) {
	t.Helper()
	for name, text := range p.source {
		if filepath.Dir(name) != "server" {
			continue
		}
		for _, m := range option.FindAllStringSubmatch(text, -1) {
			if m[1] != "WithPlugin" { // of which the others are options
				names = append(names, m[1])
			}
		}
	}
	return names
}
