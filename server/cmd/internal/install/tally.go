package install

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
)

// tally counts what was done in each folder.
type tally map[done]int

type done struct{ folder, what string }

// note counts one file, and says it where every file is asked for.
func (p *place) note(t tally, path, what, would string) {
	if p.dry {
		what = would
	}
	if p.verbose {
		fmt.Fprintf(p.out, "%s %s\n", what, path)
	}
	t[done{filepath.Dir(path), what}]++
}

// print says what was done, in a line for each folder.
func (t tally) print(p *place) error {
	lines := slices.SortedFunc(maps.Keys(t), func(a, b done) int { return slices.Compare([]string{a.folder, a.what}, []string{b.folder, b.what}) })
	for _, d := range lines {
		files := "files"
		if t[d] == 1 {
			files = "file"
		}
		if _, err := fmt.Fprintf(p.out, "%-12s %2d %-5s in %s\n", d.what, t[d], files, d.folder); err != nil {
			return err
		}
	}
	return nil
}
