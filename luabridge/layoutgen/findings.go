package main

import (
	_ "embed"
	"encoding/json"
	"slices"

	"github.com/kongring/kongring/server/wire"
)

// kongJSON is what the conformance suite found in a real Kong. The tests in
// luabridge/kongtest write it, with -update, and compare.
//
//go:embed kong.json
var kongJSON []byte

type findings struct {
	Version string
	Methods map[string][]string // phases, by the name in Lua
}

func kongFindings() (f findings) {
	if err := json.Unmarshal(kongJSON, &f); err != nil {
		panic(err) // the file is part of the program
	}
	return f
}

// phases are those in which a method was found to do in Go what it does in Lua.
func (f findings) phases(method string) (set wire.Phases) {
	for _, name := range f.Methods[method] {
		set |= 1 << slices.Index(wire.PhaseNames[:], name)
	}
	return set
}
