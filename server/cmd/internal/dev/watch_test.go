package dev

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/stretchr/testify/require"
)

func TestSourcesByName(t *testing.T) {
	for name, want := range map[string]bool{
		"main.go": true, "go.mod": true, "go.sum": true, "go.work": true, "modules.txt": true,
		"main_test.go": false, "main.go~": false, ".main.go.swp": false, ".#main.go": false, "#main.go#": false,
		"_off.go": false, "4913": false, "README.md": false, "my-plugin": false,
	} {
		require.Equal(t, want, isSource(name), name)
	}
}

// started is a watcher of a folder, with what it made of the folder's first events
// taken away.
func started(t *testing.T, dir string) *watcher {
	w, err := newWatcher()
	require.NoError(t, err)
	t.Cleanup(w.close)
	require.NoError(t, w.add(dir, sources{files: []string{filepath.Join(dir, "text")}}))
	return w
}

func (w *watcher) waits(t *testing.T, what string) {
	t.Helper()
	select {
	case <-w.changed:
	case <-time.After(time.Minute):
		require.Fail(t, "no change", what)
	}
}

func TestWatcherSeesEachWayToSave(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	write := func(name string) {
		require.NoError(t, os.WriteFile(path(name), []byte(name), 0o644))
	}
	write("main.go")
	w := started(t, dir)
	for name, save := range map[string]func(){
		"written": func() { write("main.go") },
		"renamed over": func() {
			write(".main.go.swp")
			require.NoError(t, os.Rename(path(".main.go.swp"), path("main.go")))
		},
		"moved away and written": func() {
			require.NoError(t, os.Rename(path("main.go"), path("main.go~")))
			write("main.go")
		},
		"another file":   func() { write("text") },
		"a new folder":   func() { require.NoError(t, os.MkdirAll(path("new/deep"), 0o755)) },
		"file of module": func() { write("go.mod") },
	} {
		save()
		w.waits(t, name)
	}
	write("new/deep/deep.go")
	w.waits(t, "in a new folder")
	require.NoError(t, os.Remove(path("main.go")))
	w.waits(t, "removed")
}

func TestWatcherLeavesOthersAlone(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{".git", "_old", "testdata", "vendor", "node_modules", "other"} {
		require.NoError(t, os.Mkdir(filepath.Join(dir, name), 0o755))
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "other/go.mod"), nil, 0o644))
	w := started(t, dir)
	require.Equal(t, []string{dir}, w.notify.WatchList())
	for _, name := range []string{"README.md", "main_test.go", "testdata", "text~"} {
		require.False(t, w.counts(fsnotify.Event{Name: filepath.Join(dir, name), Op: fsnotify.Create}), name)
	}
	require.False(t, w.counts(fsnotify.Event{Name: filepath.Join(dir, "main.go"), Op: fsnotify.Chmod}))
	require.True(t, w.counts(fsnotify.Event{Name: filepath.Join(dir, "main.go"), Op: fsnotify.Write | fsnotify.Chmod}))

	// But for what may be missing.
	w.broken(true)
	require.True(t, w.counts(fsnotify.Event{Name: filepath.Join(dir, "text.txt"), Op: fsnotify.Create}))
	require.False(t, w.counts(fsnotify.Event{Name: filepath.Join(dir, ".text.txt.swp"), Op: fsnotify.Create}))
}
