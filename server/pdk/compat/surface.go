package compat

import (
	"errors"
	"fmt"
	"go/types"
	"strings"

	"golang.org/x/tools/go/packages"
)

// Where the packages of each side lie.
const (
	theirs     = "github.com/Kong/go-pdk"
	ours       = "github.com/kongring/kongring/server/pdk"
	oursServer = "github.com/kongring/kongring/server"
)

// common gives a package the name that it has on both sides: "pdk", "pdk/log",
// "pdk/server" and so on. What belongs to neither keeps its path.
func common(path string) string {
	for _, root := range []struct{ path, name string }{{theirs, "pdk"}, {ours, "pdk"}, {oursServer, "pdk/server"}} {
		if rest, ok := strings.CutPrefix(path, root.path); ok && (rest == "" || rest[0] == '/') {
			return root.name + rest
		}
	}
	return path
}

// surface is what packages export: by package, by symbol, the type.
// Symbols are "Func", "Type", "Type.Field", "Type.Method".
type surface map[string]map[string]string

// load gives the surface of packages, by patterns of go list.
func load(patterns ...string) (surface, error) {
	list, err := packages.Load(&packages.Config{Mode: packages.LoadTypes}, patterns...)
	if err != nil {
		return nil, err
	}
	out := surface{}
	for _, p := range list {
		for _, e := range p.Errors {
			err = errors.Join(err, e)
		}
		if p.Name == "main" || p.Types == nil {
			continue
		}
		symbols := map[string]string{}
		for _, name := range p.Types.Scope().Names() {
			if o := p.Types.Scope().Lookup(name); o.Exported() {
				add(symbols, o)
			}
		}
		out[common(p.PkgPath)] = symbols
	}
	if err == nil && len(out) == 0 {
		err = fmt.Errorf("no packages: %v", patterns)
	}
	return out, err
}

// add adds an exported object, and if it is a type what it has.
func add(symbols map[string]string, o types.Object) {
	named, ok := o.Type().(*types.Named)
	if _, isType := o.(*types.TypeName); !isType || !ok {
		symbols[o.Name()] = kind(o) + text(o.Type())
		return
	}
	for m := range named.Methods() {
		if m.Exported() {
			receiver := "of value: "
			if _, pointer := m.Signature().Recv().Type().(*types.Pointer); pointer {
				receiver = "of pointer: "
			}
			symbols[o.Name()+"."+m.Name()] = receiver + text(m.Type())
		}
	}
	fields, ok := named.Underlying().(*types.Struct)
	if !ok {
		symbols[o.Name()] = "type " + text(named.Underlying())
		return
	}
	symbols[o.Name()] = "type struct"
	for i := range fields.NumFields() {
		if f := fields.Field(i); f.Exported() {
			what := "field "
			if f.Embedded() {
				what = "embedded "
			}
			symbols[o.Name()+"."+f.Name()] = strings.TrimSpace(what + text(f.Type()) + " " + fields.Tag(i))
		}
	}
}

func kind(o types.Object) string {
	switch o.(type) {
	case *types.Func:
		return "" // its type says so
	case *types.Const:
		return "const "
	case *types.Var:
		return "var "
	}
	return "type "
}

// text gives a type without the names of parameters, and with packages named as
// common does.
func text(t types.Type) string {
	if s, ok := t.(*types.Signature); ok {
		t = types.NewSignatureType(nil, nil, nil, unnamed(s.Params()), unnamed(s.Results()), s.Variadic())
	}
	return types.TypeString(t, func(p *types.Package) string { return common(p.Path()) })
}

func unnamed(t *types.Tuple) *types.Tuple {
	var vars []*types.Var
	for v := range t.Variables() {
		vars = append(vars, types.NewVar(v.Pos(), v.Pkg(), "", v.Type()))
	}
	return types.NewTuple(vars...)
}
