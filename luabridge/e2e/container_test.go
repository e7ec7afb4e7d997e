package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// container is what a container runtime makes of a process: an image that cannot
// be written, a volume in it, a user, and namespaces.
type container struct {
	Image             string // folder
	Volume, MountPath string // a folder, and where it is in the image
	ReadOnly          bool   // the volume, there
	UID, GID          int
	Command           []string
}

// envContainer has the container, as JSON, that a process of this binary is to
// be. notContained is what it says if it may not.
const (
	envContainer = "KONGRING_TEST_CONTAINER"
	notContained = "no container: "
)

// contain gives a command that runs in a container: this binary, which becomes
// the container's command. It is the first process of its namespaces. It dies
// with this process.
func contain(ctx context.Context, c container) *exec.Cmd {
	text, err := json.Marshal(c)
	if err != nil {
		panic(err) // of strings and numbers
	}
	cmd := exec.CommandContext(ctx, "/proc/self/exe")
	cmd.Env = []string{envContainer + "=" + string(text)}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS,
		Pdeathsig:  syscall.SIGKILL,
	}
	return cmd
}

// becomeContained does not return where this process is to be a container.
func becomeContained() {
	text := os.Getenv(envContainer)
	if text == "" {
		return
	}
	var c container
	err := json.Unmarshal([]byte(text), &c)
	if err == nil {
		err = c.become()
	}
	fmt.Fprintln(os.Stderr, notContained+err.Error())
	os.Exit(125)
}

// become makes this process the container's.
func (c container) become() error {
	runtime.LockOSThread() // some of it is the thread's, which becomes the command
	inImage := func(path string) string { return c.Image + path }
	readOnly := uintptr(unix.MS_REMOUNT | unix.MS_BIND | unix.MS_RDONLY)
	volume := readOnly
	if !c.ReadOnly {
		volume = unix.MS_REMOUNT | unix.MS_BIND
	}
	for _, m := range []struct {
		from, to, kind string
		flags          uintptr
	}{
		{"", "/", "", unix.MS_REC | unix.MS_PRIVATE},
		{c.Image, c.Image, "", unix.MS_BIND},
		{c.Volume, inImage(c.MountPath), "", unix.MS_BIND},
		{"", inImage(c.MountPath), "", volume},
		{"proc", inImage("/proc"), "proc", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC},
		{"", c.Image, "", readOnly},
	} {
		if err := unix.Mount(m.from, m.to, m.kind, m.flags, ""); err != nil {
			return fmt.Errorf("mount %s: %w", m.to, err)
		}
	}
	if err := errors.Join(unix.Chroot(c.Image), os.Chdir("/")); err != nil {
		return err
	}
	for capability := uintptr(0); unix.Prctl(unix.PR_CAPBSET_READ, capability, 0, 0, 0) == nil; capability++ {
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, capability, 0, 0, 0); err != nil {
			return fmt.Errorf("drop capability %d: %w", capability, err)
		}
	}
	if err := errors.Join(syscall.Setgroups(nil), syscall.Setgid(c.GID), syscall.Setuid(c.UID)); err != nil {
		return err
	}
	if err := errors.Join(
		unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
		unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0), // which another user has not
	); err != nil {
		return err
	}
	return fmt.Errorf("%s: %w", c.Command[0], syscall.Exec(c.Command[0], c.Command, []string{"PATH=/bin"}))
}
