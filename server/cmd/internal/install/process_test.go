package install_test

import (
	"bytes"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/server/cmd/internal/exit"
)

// Ctrl-C, which reaches all programs of the terminal, leaves nothing behind.
func TestInstallIsInterrupted(t *testing.T) {
	s := newStage(t)
	require.NoError(t, os.Mkdir(s.path("tmp"), 0o755))
	script := "#!/bin/sh\n: > " + s.path("started") + "\nexec sleep 600\n"
	require.NoError(t, os.WriteFile(s.path("bin/slow-cc"), []byte(script), 0o755))

	var errOut bytes.Buffer
	cmd := exec.Command(kongring, "install", s.path("bin"), "--prefix", s.path("p"), "--dir", s.path("d"), "--cc", s.path("bin/slow-cc"))
	cmd.Env = append(os.Environ(), "TMPDIR="+s.path("tmp"))
	cmd.Stderr = &errOut
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	require.NoError(t, cmd.Start())
	require.Eventually(t, func() bool { _, err := os.Stat(s.path("started")); return err == nil }, time.Minute, time.Millisecond)
	require.NoError(t, syscall.Kill(-cmd.Process.Pid, syscall.SIGINT))
	require.Error(t, cmd.Wait())
	require.Equal(t, exit.Signaled+int(syscall.SIGINT), cmd.ProcessState.ExitCode(), errOut.String())
	require.Equal(t, "kongring: ended by: interrupt\n", errOut.String())
	require.NoDirExists(t, s.path("p"))
	left, err := os.ReadDir(s.path("tmp"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestInstallWithoutPermission(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("skipped: not root, who can be nobody")
	}
	s := newStage(t)
	var errOut bytes.Buffer
	cmd := exec.Command(kongring, "install", "--prefix", s.path("p"))
	cmd.Env = append(os.Environ(), "TMPDIR=/tmp")
	cmd.Dir, cmd.Stderr = "/", &errOut
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	require.Error(t, cmd.Run())
	require.Equal(t, exit.Failed, cmd.ProcessState.ExitCode())
	require.Regexp(t, "^kongring: .*permission denied: run it as who owns that folder.*\n$", errOut.String())
}
