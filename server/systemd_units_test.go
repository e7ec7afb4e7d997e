package server_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// units puts the units for systemd into a folder, with a program to start, and
// gives the folder.
func units(t *testing.T) string {
	t.Helper()
	version, err := exec.Command("systemd-analyze", "--version").Output()
	if err != nil {
		t.Skip("skipped: systemd-analyze is not installed, which reads the units")
	}
	match := regexp.MustCompile(`^systemd (\d+)`).FindSubmatch(version)
	require.NotNil(t, match, "%s", version)
	if n, err := strconv.Atoi(string(match[1])); err != nil || n < 250 {
		t.Skipf("skipped: systemd-analyze %s is too old to look at units that are not installed", match[1])
	}
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "demo"), []byte("#!/bin/sh\n"), 0o755))
	for _, name := range []string{"kongring@.service", "kongring@.socket"} {
		text, err := os.ReadFile(filepath.Join("systemd", name))
		require.NoError(t, err)
		// Where the program is, this machine says.
		out := strings.ReplaceAll(string(text), "/usr/local/bin/", dir+"/")
		require.NoError(t, os.WriteFile(filepath.Join(dir, strings.Replace(name, "@", "@demo", 1)), []byte(out), 0o644))
	}
	return dir
}

func TestUnitsMakeSense(t *testing.T) {
	dir := units(t)
	cmd := exec.Command("systemd-analyze", "verify", "--man=no", "./kongring@demo.service", "./kongring@demo.socket")
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.NotContains(t, string(out), "kongring@", "a directive that is not understood is a warning")
}

// systemd's own measure, from 0 to 10: what is left is network, and files to
// read.
func TestUnitLeavesLittle(t *testing.T) {
	cmd := exec.Command("systemd-analyze", "security", "--no-pager", "--offline=yes", "--threshold=20", "./kongring@demo.service")
	cmd.Dir = units(t)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// The server takes the flags that the unit gives it, and listens in the folder
// that the unit makes, where the other unit has the socket as well.
func TestUnitsAgreeWithTheServer(t *testing.T) {
	service, err := os.ReadFile("systemd/kongring@.service")
	require.NoError(t, err)
	socket, err := os.ReadFile("systemd/kongring@.socket")
	require.NoError(t, err)
	value := func(unit []byte, key string) string {
		match := regexp.MustCompile(`(?m)^` + key + `=(.*)$`).FindSubmatch(unit)
		require.NotNil(t, match, key)
		return string(match[1])
	}
	command := strings.Fields(value(service, "ExecStart"))
	user := slices.Index(command, "-allow-user") + 1
	require.Equal(t, "kong", command[user])
	command[user] = "root" // who is on this machine
	out, text, status := says(t, "pair", "pair", append(command[1:], "-version")...)
	require.Zero(t, status, text)
	require.Contains(t, out, "kongring ")

	path := "/run/" + value(service, "RuntimeDirectory") + "/socket"
	require.Contains(t, command, path)
	require.Equal(t, path, value(socket, "ListenStream"))
	require.Equal(t, value(service, "User"), value(socket, "SocketUser"))
	require.Equal(t, value(service, "Group"), value(socket, "SocketGroup"))
	require.Equal(t, "0660", value(socket, "SocketMode"))

	// What the page has -install write into the handlers is that path too.
	page, err := os.ReadFile("OPERATING.md")
	require.NoError(t, err)
	require.Contains(t, string(page), "my-plugin -install DIR -socket "+strings.ReplaceAll(path, "%i", "my-plugin")+"\n")
	require.Contains(t, string(page), "--socket "+path+"`")
	require.Contains(t, string(page), "\nsystemctl enable --now kongring@my-plugin\n")
}

// A server that fails is started again for ever, which is not systemd's way
// unless it is told.
func TestUnitNeverGivesUp(t *testing.T) {
	service, err := os.ReadFile("systemd/kongring@.service")
	require.NoError(t, err)
	for _, line := range []string{"Type=notify", "Restart=on-failure", "StartLimitIntervalSec=0"} {
		require.Contains(t, string(service), "\n"+line+"\n")
	}
}
