package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/server/wire"
)

func TestCommittedFilesAreWhatTheStructsSay(t *testing.T) {
	for path, want := range generate() {
		got, err := os.ReadFile(filepath.Join("..", path))
		require.NoError(t, err)
		require.Equal(t, string(want), string(got), "%s is old: run go generate ./luabridge", path)
	}
}

// A constant that is added to a layout file reaches the other languages.
func TestEveryConstantOfALayoutIsThere(t *testing.T) {
	for path, list := range map[string][]constant{
		"../../ring/layout.go":        ringConstants,
		"../../shm/layout.go":         shmConstants,
		"../../server/wire/layout.go": wireConstants,
	} {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		var want, got []string
		for _, decl := range file.Decls {
			if d, ok := decl.(*ast.GenDecl); ok && d.Tok == token.CONST {
				for _, spec := range d.Specs {
					for _, name := range spec.(*ast.ValueSpec).Names {
						want = append(want, name.Name)
					}
				}
			}
		}
		for _, c := range list {
			name, _, _ := strings.Cut(c.name, " ")
			got = append(got, name)
		}
		require.Equal(t, want, got, path)
	}
}

// What LuaJIT makes of the committed declarations and numbers, compared with
// what the Go compiler makes of the structs and constants.
func TestLuaJITAndGoAgree(t *testing.T) {
	if _, err := exec.LookPath("luajit"); err != nil {
		t.Skip("skipped: no luajit")
	}
	var want, script strings.Builder
	script.WriteString("local ffi = require 'ffi'\nlocal layout = require 'kongring.layout'\n")
	ask := func(value any, expression string) {
		fmt.Fprintf(&want, "%s = %d\n", expression, value)
		fmt.Fprintf(&script, "print(('%%s = %%.0f'):format(%q, %s))\n", expression, expression)
	}
	for _, typ := range structs {
		name := typeName(typ)
		ask(typ.Size(), fmt.Sprintf("ffi.sizeof('%s')", name))
		for _, f := range fields(typ) {
			if f.name != "" {
				ask(f.offset, fmt.Sprintf("ffi.offsetof('%s', '%s')", name, f.name))
			}
		}
	}
	for _, section := range constants {
		for _, c := range section.list {
			if phase, ok := strings.CutPrefix(c.name, "Phase"); ok {
				ask(c.value, "layout.PHASE."+strings.ToLower(phase))
			} else {
				ask(c.value, "layout."+c.outName())
			}
		}
	}
	for id, m := range wire.Methods[1:] {
		ask(id+1, fmt.Sprintf("method(%q, %q)", m.Name, m.Result))
	}
	script.WriteString("require 'kongring.layout'") // a second load is fine

	cmd := exec.Command("luajit", "-e", `function method(name, result)
		for id, m in ipairs(require "kongring.methods") do
			if m.name == name and m.result == result then return id end
		end
	end `+script.String())
	cmd.Env = append(os.Environ(), "LUA_PATH=../?.lua;;")
	got, err := cmd.CombinedOutput()
	require.NoError(t, err, string(got))
	require.Equal(t, want.String(), string(got))
}

// layout.lua does not load where a declaration of another version is there.
func TestLayoutRefusesAnotherDeclaration(t *testing.T) {
	if _, err := exec.LookPath("luajit"); err != nil {
		t.Skip("skipped: no luajit")
	}
	declarations := ""
	for _, typ := range structs {
		declarations += declaration(typ)
	}
	changed := strings.Replace(declarations, "uint16_t slot;", "uint32_t slot;", 1)
	require.NotEqual(t, declarations, changed)
	cmd := exec.Command("luajit", "-e",
		"require('ffi').cdef [["+changed+"]] require 'kongring.layout'")
	cmd.Env = append(os.Environ(), "LUA_PATH=../?.lua;;")
	got, err := cmd.CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(got), "kongring: layout of sizeof(kongring_head) is 16 in LuaJIT and 12 in Go")
}
