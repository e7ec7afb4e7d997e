package install

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// place is where files go, with the record of them.
type place struct {
	record  string            // path of the record
	ours    func([]byte) bool // whether a file that is in no record may be replaced
	dry     bool              // say what would be done, and do nothing
	verbose bool              // say it of each file
	whole   bool              // what was put here once and is not any more goes away
	out     io.Writer
}

type file struct {
	text []byte
	mode fs.FileMode
}

// plan is what is to be written into a place.
type plan struct {
	*place
	record  *record
	files   map[string]file
	changed map[string]bool
}

// plan compares the files, by path, with what is there. It refuses where it would
// have to replace someone else's.
func (p *place) plan(files map[string]file) (*plan, error) {
	r, err := readRecord(p.record)
	if err != nil {
		return nil, err
	}
	todo := &plan{p, r, files, map[string]bool{}}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		if todo.changed[path], err = p.differs(r, path, files[path]); err != nil {
			return nil, err
		}
	}
	return todo, nil
}

// do makes the files what they are to be.
func (p *plan) do(ctx context.Context) error {
	r, files := p.record, p.files
	if !p.dry {
		// First the record, so that uninstall finds what an interrupted install
		// leaves behind.
		for path, f := range files {
			if err := r.makeFolder(filepath.Dir(path)); err != nil {
				return err
			}
			r.Files[path] = append([]string{sum(f.text)}, r.Files[path]...)
		}
		if err := r.makeFolder(filepath.Dir(p.place.record)); err != nil {
			return err
		}
		if err := r.write(p.place.record); err != nil {
			return err
		}
	}
	done := tally{}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		if !p.changed[path] {
			p.note(done, path, "unchanged", "unchanged")
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if !p.dry {
			if err := replace(path, files[path].text, files[path].mode); err != nil {
				return err
			}
		}
		p.note(done, path, "wrote", "would write")
	}
	if err := p.sweep(done); err != nil {
		return err
	}
	if !p.dry {
		for path := range files {
			r.Files[path] = r.Files[path][:1]
		}
		if err := r.write(p.place.record); err != nil {
			return err
		}
	}
	return done.print(p.place)
}

// sweep removes what an older install put here and the newer one has not.
func (p *plan) sweep(done tally) error {
	for _, path := range slices.Sorted(maps.Keys(p.record.Files)) {
		if _, stays := p.files[path]; stays || !p.whole {
			continue
		}
		text, err := os.ReadFile(path)
		if err == nil && !slices.Contains(p.record.Files[path], sum(text)) {
			continue // changed since: its owner decides
		}
		if err == nil && !p.dry {
			err = os.Remove(path)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		p.note(done, path, "removed", "would remove")
		delete(p.record.Files, path)
	}
	return nil
}

// differs tells whether a file has to be written, and refuses if it is someone
// else's.
func (p *place) differs(r *record, path string, f file) (bool, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	known, recorded := r.Files[path]
	switch {
	case sum(text) == sum(f.text):
		return false, nil
	case recorded && !slices.Contains(known, sum(text)):
		return false, fmt.Errorf("%s was changed since it was installed: move it away, install, and put your changes in again", path)
	case !recorded && !p.ours(text):
		return false, fmt.Errorf("%s is not kongring's: a plugin of that name is there; move it away or choose another --dir", path)
	}
	return true, nil
}

// remove removes the recorded files that are to go, unless they were changed
// since, and the folders that install made for them.
func (p *place) remove(ctx context.Context, goes func(path string) bool) (kept []string, err error) {
	r, err := readRecord(p.record)
	if err != nil {
		return nil, err
	}
	done := tally{}
	for _, path := range slices.Sorted(maps.Keys(r.Files)) {
		if !goes(path) {
			continue
		}
		text, err := os.ReadFile(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, err
		case !slices.Contains(r.Files[path], sum(text)):
			kept = append(kept, path)
			continue
		default:
			if !p.dry {
				if err := errors.Join(ctx.Err(), os.Remove(path)); err != nil {
					return nil, err
				}
			}
			p.note(done, path, "removed", "would remove")
		}
		delete(r.Files, path)
	}
	if p.dry {
		return kept, done.print(p)
	}
	if len(r.Files) == 0 {
		if err := os.Remove(p.record); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	r.removeFolders()
	if len(r.Files) > 0 {
		if err := r.write(p.record); err != nil {
			return nil, err
		}
	}
	return kept, done.print(p)
}
