package install

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// record is what install wrote into a place. All paths are absolute.
type record struct {
	// By path the SHA-256 of what it may hold: of what it will be first, and,
	// while an install is under way or after one was interrupted, of what it was.
	Files   map[string][]string
	Folders []string // that were not there before
}

func readRecord(path string) (*record, error) {
	r := &record{Files: map[string][]string{}}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, r); err != nil || r.Files == nil {
		return nil, fmt.Errorf("%s is damaged: remove the files by hand, and it as well", path)
	}
	return r, nil
}

func (r *record) write(path string) error {
	slices.Sort(r.Folders)
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return replace(path, append(text, '\n'), 0o644)
}

// makeFolder makes a folder with its parents, and notes those that it made.
func (r *record) makeFolder(path string) error {
	var missing []string
	for dir := path; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		missing = append(missing, dir)
	}
	if err := os.MkdirAll(path, 0o755); err != nil {
		return err
	}
	for _, dir := range missing {
		if !slices.Contains(r.Folders, dir) {
			r.Folders = append(r.Folders, dir)
		}
	}
	return nil
}

// removeFolders removes the folders that install made, as far as they are empty.
func (r *record) removeFolders() {
	slices.SortFunc(r.Folders, func(a, b string) int { return len(b) - len(a) })
	r.Folders = slices.DeleteFunc(r.Folders, func(dir string) bool {
		err := os.Remove(dir)
		return err == nil || errors.Is(err, fs.ErrNotExist)
	})
}

func sum(text []byte) string {
	s := sha256.Sum256(text)
	return hex.EncodeToString(s[:])
}

// replace writes a file in one step: nobody sees half of it, also when the
// process ends in the middle.
func replace(path string, text []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".kongring-*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Chmod(mode), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}
