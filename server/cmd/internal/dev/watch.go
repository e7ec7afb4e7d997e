package dev

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// An editor saves in several steps, and a checkout saves many files: it is one
// change when nothing happens for quiet. What never rests is a change after
// longest all the same.
const (
	quiet   = 100 * time.Millisecond
	longest = time.Second
)

// watcher tells when a source file changes. It watches folders, not files, since
// many editors put a new file in the old one's place.
type watcher struct {
	changed chan struct{} // one word for all changes up to now

	notify *fsnotify.Watcher
	ended  chan struct{}

	mu    sync.Mutex
	root  string          // of the module: new folders in it are watched too
	files map[string]bool // that count besides Go files
	any   bool            // every file counts
}

func newWatcher() (*watcher, error) {
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	w := &watcher{changed: make(chan struct{}, 1), notify: notify, ended: make(chan struct{}), files: map[string]bool{}}
	go w.run()
	return w, nil
}

// close ends the watcher. Nothing else may be called then.
func (w *watcher) close() {
	_ = w.notify.Close()
	<-w.ended
}

// add watches the sources of a program, and all of the folder root that may become
// one. What was watched stays so: it costs little, and may come back.
func (w *watcher) add(root string, s sources) error {
	w.mu.Lock()
	w.root = root
	for _, file := range s.files {
		w.files[file] = true
	}
	w.mu.Unlock()
	var errs []error
	for _, dir := range s.dirs {
		errs = append(errs, w.folder(dir))
	}
	return errors.Join(append(errs, w.tree(root))...)
}

// broken says whether the program could not be built from its sources: then it may
// be a file of any name that mends it.
func (w *watcher) broken(yes bool) {
	w.mu.Lock()
	w.any = yes
	w.mu.Unlock()
}

// folder watches one folder, if it is there.
func (w *watcher) folder(dir string) error {
	err := w.notify.Add(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// tree watches a folder with all in it that a package may be in.
func (w *watcher) tree(top string) error {
	return filepath.WalkDir(top, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission)):
			return fs.SkipDir // gone since, or of nobody's concern
		case err != nil:
			return err
		case !e.IsDir():
			return nil
		case path != top && aside(path):
			return fs.SkipDir
		}
		return w.folder(path)
	})
}

// aside tells whether the go command looks for no packages of the module in a
// folder.
func aside(dir string) bool {
	name := filepath.Base(dir)
	if strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") {
		return true
	}
	switch name {
	case "testdata", "vendor", "node_modules":
		return true
	}
	_, err := os.Stat(filepath.Join(dir, "go.mod")) // another module
	return err == nil
}

// run sorts the events until the watcher is closed.
func (w *watcher) run() {
	defer close(w.ended)
	var rest <-chan time.Time // nil when nothing changed
	var first time.Time
	for {
		changed := false
		select {
		case event, open := <-w.notify.Events:
			if !open {
				return
			}
			changed = w.counts(event)
		case err, open := <-w.notify.Errors:
			if !open {
				return
			}
			// It lost events: what they were about may be anything.
			changed = errors.Is(err, fsnotify.ErrEventOverflow)
		case <-rest:
			rest = nil
			select {
			case w.changed <- struct{}{}:
			default: // it was told, and did not come yet
			}
		}
		if changed {
			if rest == nil {
				first = time.Now()
			}
			rest = time.After(min(quiet, max(0, longest-time.Since(first))))
		}
	}
}

// counts tells whether an event is about a file that a program is built from, and
// watches a folder that is new.
func (w *watcher) counts(event fsnotify.Event) bool {
	if event.Op == fsnotify.Chmod {
		return false
	}
	name := filepath.Base(event.Name)
	w.mu.Lock()
	root, counts := w.root, w.files[event.Name] || w.any && !strings.HasPrefix(name, ".")
	w.mu.Unlock()
	counts = counts || isSource(name)
	info, err := os.Stat(event.Name)
	if err != nil || !info.IsDir() || !within(event.Name, root) || aside(event.Name) {
		return counts
	}
	_ = w.tree(event.Name)
	return true // with files in it already, perhaps
}

// isSource tells by a file's name whether the go command reads it.
func isSource(name string) bool {
	switch name {
	case "go.mod", "go.sum", "go.work", "go.work.sum", "modules.txt":
		return true
	}
	return strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") &&
		!strings.HasPrefix(name, ".") && !strings.HasPrefix(name, "_")
}
