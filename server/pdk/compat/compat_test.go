package compat

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write DIFFERENCES.md anew")

func both(t *testing.T) (they, we surface) {
	they, err := load(theirs + "/...")
	require.NoError(t, err)
	we, err = load(ours+"/...", oursServer)
	require.NoError(t, err)
	return they, we
}

// found lists the symbols of go-pdk that differ, with what each side has; a
// package that is missing is one line, and so is a type.
func found(they, we surface) map[string][2]string {
	out := map[string][2]string{}
	for path, symbols := range they {
		if we[path] == nil {
			out[path] = [2]string{"package", "none"}
			continue
		}
		for name, want := range symbols {
			got := we[path][name]
			owner, _, member := strings.Cut(name, ".")
			switch {
			case got == want || member && we[path][owner] == "":
			case got == "":
				out[path+"."+name] = [2]string{want, "none"}
			default:
				out[path+"."+name] = [2]string{want, got}
			}
		}
	}
	return out
}

func TestEverySymbolOfGoPDK(t *testing.T) {
	they, we := both(t)
	require.Greater(t, len(they), 14, "packages of go-pdk")
	reasons := map[string]bool{}
	for _, d := range Differences {
		require.NotEmpty(t, d.Why, d.Symbol)
		require.False(t, reasons[d.Symbol], "%s is listed twice", d.Symbol)
		reasons[d.Symbol] = true
	}
	differ := found(they, we)
	for _, symbol := range slices.Sorted(maps.Keys(differ)) {
		if !reasons[symbol] {
			t.Errorf("%s is not as in go-pdk:\n  theirs %s\n  ours   %s", symbol, differ[symbol][0], differ[symbol][1])
		}
		delete(reasons, symbol)
	}
	require.Empty(t, reasons, "listed as different, and is not")
}

// The table as plugin authors read it.
func TestDifferencesAreWritten(t *testing.T) {
	they, we := both(t)
	differ := found(they, we)
	var b strings.Builder
	b.WriteString(`<!-- Written by the tests of server/pdk/compat with -update; DO NOT EDIT. -->
# Differences from go-pdk v0.11.0

The exported symbols of go-pdk are all here, with the same types, at the paths

| go-pdk | kongring |
|---|---|
`)
	fmt.Fprintf(&b, "| %s/server | %s |\n| %s/... | %s/... |\n", theirs, oursServer, theirs, ours)
	b.WriteString("\nbut for these:\n\n| symbol | go-pdk | here | why |\n|---|---|---|---|\n")
	for _, d := range Differences {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", d.Symbol, differ[d.Symbol][0], differ[d.Symbol][1], d.Why)
	}
	b.WriteString("\nFields that go-pdk's structs do not have stand behind those that they have.\n\n" +
		"# Differences in what happens\n\n| what | here |\n|---|---|\n")
	for _, c := range Changes {
		fmt.Fprintf(&b, "| %s | %s |\n", c.What, c.Now)
	}
	b.WriteString("\n# Differences in what getters give\n\nFor the same value of Lua, of all getters and of nil, booleans, numbers, texts and tables; " +
		"all else is equal, nil and\nempty included.\n\n| getters | Lua gives | go-pdk | here | why |\n|---|---|---|---|---|\n")
	for _, r := range Results {
		fmt.Fprintf(&b, "| %s | `%s` | `%s` | `%s` | %s |\n", r.Getters, r.Lua, r.Theirs, r.Ours, r.Why)
	}
	const file = "../DIFFERENCES.md"
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(b.String()), 0o644))
	}
	got, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, b.String(), string(got), "DIFFERENCES.md is old: run go test -update here")
}
