package debian

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kongring/kongring/luabridge/host"
)

// noCopy is the status of a process that may not make the copy.
const noCopy = 3

// kept is what other programs keep for themselves when a package comes and goes:
// dpkg's and man's own records, and copies that the tools for users make of what
// they change.
var kept = []string{
	"tmp", "var/lib/dpkg", "var/log/dpkg.log", "var/cache/man", "var/cache/ldconfig",
	"etc/.pwd.lock", "etc/passwd-", "etc/group-", "etc/shadow-", "etc/gshadow-", "etc/subuid-", "etc/subgid-",
}

// copied makes a copy of this machine's files, in which it calls installed, and
// looks what that left behind. It gives the status to end the process with, which
// is in a mount namespace of its own. The copy is an overlay: what is written
// goes to memory, and away with the process.
func copied(deb, plugin string) (status int) {
	real, changed, err := enter()
	if err != nil {
		fmt.Println(err)
		return noCopy
	}
	err = installed(deb, plugin)
	if err == nil {
		err = nothingLeft(real.FS(), changed.FS())
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// enter makes the copy the root of this process. It gives the folder of the real
// files, and the one with what differs in the copy.
func enter() (real, changed *os.Root, err error) {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return nil, nil, fmt.Errorf("leave other mount namespaces alone: %w", err)
	}
	// Below a folder that is there already: what this process makes outside of
	// its own mounts would stay.
	const dir = "/mnt"
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=755"); err != nil {
		return nil, nil, fmt.Errorf("mount memory: %w", err)
	}
	upper, work, merged := dir+"/upper", dir+"/work", dir+"/merged"
	for _, d := range []string{upper, work, merged} {
		if err := os.Mkdir(d, 0o755); err != nil {
			return nil, nil, err
		}
	}
	layers := fmt.Sprintf("lowerdir=/,upperdir=%s,workdir=%s", upper, work)
	if err := unix.Mount("overlay", merged, "overlay", 0, layers); err != nil {
		return nil, nil, fmt.Errorf("mount a copy of /: %w", err)
	}
	for _, d := range []string{"/proc", "/dev", "/sys"} {
		if err := unix.Mount(d, merged+d, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return nil, nil, fmt.Errorf("bind %s: %w", d, err)
		}
	}
	if real, err = os.OpenRoot("/"); err != nil {
		return nil, nil, err
	}
	if changed, err = os.OpenRoot(upper); err != nil {
		return nil, nil, err
	}
	if err := errors.Join(unix.Chroot(merged), os.Chdir("/")); err != nil {
		return nil, nil, err
	}
	return real, changed, nil
}

// nothingLeft is an error that lists what differs from the real files.
func nothingLeft(real, changed fs.FS) error {
	var left []string
	err := fs.WalkDir(changed, ".", func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case slices.Contains(kept, path) && e.IsDir():
			return fs.SkipDir
		case slices.Contains(kept, path):
			return nil
		}
		same, err := isSame(real, changed, path, e)
		if !same {
			left = append(left, path)
		}
		return err
	})
	if err == nil && len(left) > 0 {
		err = fmt.Errorf("left behind, changed or gone: %s", strings.Join(left, ", "))
	}
	return err
}

// isSame tells whether a path is what it was. Of a folder it is what counts that
// there is one; of what was removed the overlay has a device in its place.
func isSame(real, changed fs.FS, path string, e fs.DirEntry) (bool, error) {
	before, err := fs.Lstat(real, path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil || before.Mode().Type() != e.Type() {
		return false, err
	}
	if !e.Type().IsRegular() {
		return true, nil
	}
	after, err := e.Info()
	if err != nil || before.Mode() != after.Mode() {
		return false, err
	}
	one, err := fs.ReadFile(real, path)
	if err != nil {
		return false, err
	}
	other, err := fs.ReadFile(changed, path)
	return bytes.Equal(one, other), err
}

// header sends a request and gives a header of the answer.
func header(ctx context.Context, url, name string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/", nil)
	if err != nil {
		return "", err
	}
	r.Header.Set("x-name", "you")
	r.Close = true
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	return answer.Header.Get(name), answer.Body.Close()
}

// usesHelper wants the helper that was installed in the workers' memory.
func usesHelper(h *host.Host) error {
	workers, err := h.Workers()
	if err != nil {
		return err
	}
	for _, pid := range workers {
		maps, err := os.ReadFile(filepath.Join("/proc", fmt.Sprint(pid), "maps"))
		if err != nil {
			return err
		}
		if !strings.Contains(string(maps), " /usr/lib/kongring/libkongring.so\n") {
			return fmt.Errorf("worker %d has another helper, or none", pid)
		}
	}
	return nil
}
