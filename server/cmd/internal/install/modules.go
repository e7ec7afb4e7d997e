package install

import (
	"context"
	"io"
	"maps"
	"path/filepath"
	"slices"
)

// Modules writes the modules of the plugins of one binary below dir, as kongring
// install does, and tells whether that changed anything. flags are those by which
// the binary knows its socket. A file that is someone else's, or was changed since
// it was installed, is an error, and nothing is written.
func Modules(ctx context.Context, binary string, flags []string, dir string) (changed bool, err error) {
	o := options{out: io.Discard}
	if o.dir, err = filepath.Abs(dir); err != nil {
		return false, err
	}
	modules, err := plugins(ctx, binary, slices.Clone(flags))
	if err != nil {
		return false, err
	}
	files := map[string]file{}
	for name, text := range modules {
		files[filepath.Join(o.pluginFolder(), name)] = file{text, 0o644}
	}
	todo, err := o.pluginPlace().plan(files)
	if err != nil {
		return false, err
	}
	for differs := range maps.Values(todo.changed) {
		changed = changed || differs
	}
	return changed, explain(todo.do(ctx))
}
