package pages

import (
	"archive/zip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	module  = "github.com/kongring/kongring"
	version = "v0.1.0"
)

// Publish makes the Go command find this tree as the newest version of the
// module, and gives the environment for that: a proxy in a folder below dir, in
// front of what this machine has downloaded already; nobody else is asked. What
// go install makes is on PATH.
func Publish(t testing.TB, dir string) (env []string) {
	t.Helper()
	root := Root(t)
	Run(t, root, "go mod download")
	cache := filepath.Join(strings.TrimSpace(Run(t, root, "go env GOMODCACHE")), "cache", "download")

	proxy := filepath.Join(dir, "proxy")
	folder := filepath.Join(proxy, module, "@v")
	require.NoError(t, os.MkdirAll(folder, 0o755))
	info, err := json.Marshal(map[string]interface{}{"Version": version, "Time": time.Unix(0, 0).UTC()})
	require.NoError(t, err)
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	require.NoError(t, err)
	for name, text := range map[string][]byte{"list": []byte(version + "\n"), version + ".info": info, version + ".mod": mod} {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), text, 0o644))
	}
	pack(t, root, filepath.Join(folder, version+".zip"))

	bin := filepath.Join(dir, "bin")
	return []string{
		"GOPROXY=file://" + proxy + ",file://" + cache + ",off", "GOSUMDB=off", "GOFLAGS=-modcacherw", "GOTOOLCHAIN=local",
		"GOMODCACHE=" + filepath.Join(dir, "mod"), "GOBIN=" + bin, "PATH=" + bin + ":" + os.Getenv("PATH"),
	}
}

// pack writes the module's zip: all files but those of nested modules.
func pack(t testing.TB, root, path string) {
	file, err := os.Create(path)
	require.NoError(t, err)
	z := zip.NewWriter(file)
	err = filepath.WalkDir(root, func(name string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			_, nested := os.Stat(filepath.Join(name, "go.mod"))
			if d.Name() == ".git" || nested == nil && name != root {
				return filepath.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() || d.Name() == ".git" { // a file in a work tree
			return nil
		}
		relative, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		in, err := os.Open(name)
		if err != nil {
			return err
		}
		defer in.Close()
		out, err := z.Create(module + "@" + version + "/" + filepath.ToSlash(relative))
		if err != nil {
			return err
		}
		_, err = io.Copy(out, in)
		return err
	})
	require.NoError(t, err)
	require.NoError(t, z.Close())
	require.NoError(t, file.Close())
}
