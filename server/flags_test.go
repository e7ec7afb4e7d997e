package server_test

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/server"
)

// playPair is the main function of a binary with two plugins.
func playPair(string) error {
	return server.Run(
		server.WithPlugin("one", newEverything, "1.0", 1),
		server.WithPlugin("two", newEverything, "2.0-rc1", 2),
		server.WithSocket(server.SocketPath("pair")))
}

// says runs a role with arguments and gives what it printed and its status.
func says(t *testing.T, name, called string, args ...string) (out, err string, status int) {
	t.Helper()
	cmd := command(name, "", args...)
	cmd.Args[0] = called
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if failed := cmd.Run(); failed != nil {
		var exit *exec.ExitError
		require.True(t, errors.As(failed, &exit), failed)
		status = exit.ExitCode()
	}
	return stdout.String(), stderr.String(), status
}

func TestMisuse(t *testing.T) {
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"unknown flag": {[]string{"-dmup"}, "pair: flag provided but not defined: -dmup; -help lists the flags\n"},
		"no value":     {[]string{"-socket"}, "pair: flag needs an argument: -socket; -help lists the flags\n"},
		"no boolean":   {[]string{"-dump=maybe"}, `pair: invalid boolean value "maybe" for -dump: parse error; -help lists the flags` + "\n"},
		"carrier":      {[]string{"-carrier", "pigeon"}, "pair: flag -carrier=pigeon: want auto or socket; -help lists the flags\n"},
		"parent":       {[]string{"-watch-parent", "of"}, "pair: flag -watch-parent=of: want auto, on or off; -help lists the flags\n"},
		"uid":          {[]string{"-allow-uid=nobody"}, `pair: invalid value "nobody" for flag -allow-uid: want the number of a user; -help lists the flags` + "\n"},
		"no uid":       {[]string{"-allow-uid=4294967295"}, `pair: invalid value "4294967295" for flag -allow-uid: want the number of a user; -help lists the flags` + "\n"},
		"log level":    {[]string{"-log-level=loud"}, "pair: flag -log-level=loud: want debug, info, warn or error; -help lists the flags\n"},
	} {
		t.Run(name, func(t *testing.T) {
			out, text, status := says(t, "pair", "/some/where/pair", append([]string{"-version"}, tc.args...)...)
			require.Equal(t, 2, status)
			require.Empty(t, out)
			require.Equal(t, tc.want, text)
		})
	}
}

func TestHelp(t *testing.T) {
	for _, flag := range []string{"-help", "-h"} {
		out, text, status := says(t, "pair", "pair", flag)
		require.Equal(t, 2, status)
		require.Empty(t, out)
		for _, name := range []string{"allow-uid", "allow-user", "carrier", "check", "dump", "help", "install", "kong-prefix",
			"log-format", "log-level", "metrics", "metrics-pprof", "plugin", "socket", "socket-group", "version", "watch-parent"} {
			require.Contains(t, text, "\n  -"+name)
		}
		require.Contains(t, text, "pair -install DIR")
		require.Contains(t, text, "\n  -socket PATH\n")
	}
}

// The page for operators has every flag of the server.
func TestThePageHasAllFlags(t *testing.T) {
	page, err := os.ReadFile("OPERATING.md")
	require.NoError(t, err)
	_, text, _ := says(t, "pair", "pair", "-help")
	names := regexp.MustCompile(`(?m)^  -(\S+)`).FindAllStringSubmatch(text, -1)
	require.GreaterOrEqual(t, len(names), 14)
	for _, name := range names {
		if strings.HasPrefix(name[1], "test.") { // of package testing
			continue
		}
		require.Regexp(t, "`-"+name[1]+"[` ]", string(page))
	}
}

func TestVersionFlag(t *testing.T) {
	out, _, status := says(t, "pair", "pair", "-version")
	require.Zero(t, status)
	require.Regexp(t, `^one 1\.0\ntwo 2\.0-rc1\nkongring \S+\n$`, out)
}

// Kong takes the first plugin of a dump, so whoever asks has to be able to say
// which that is.
func TestDumpOfOnePlugin(t *testing.T) {
	for _, tc := range []struct {
		called string
		args   []string
		want   []string
	}{
		{"pair", nil, []string{"one", "two"}},
		{"/usr/local/bin/two", nil, []string{"two", "one"}},
		{"two", []string{"-plugin", "one"}, []string{"one"}},
		{"pair", []string{"-plugin", "two"}, []string{"two"}},
	} {
		out, _, status := says(t, "pair", tc.called, append(tc.args, "-dump")...)
		require.Zero(t, status)
		var dumped struct{ Plugins []struct{ Name string } }
		require.NoError(t, json.Unmarshal([]byte(out), &dumped))
		var names []string
		for _, p := range dumped.Plugins {
			names = append(names, p.Name)
		}
		require.Equal(t, tc.want, names, "%s %v", tc.called, tc.args)
	}
	_, text, status := says(t, "pair", "pair", "-plugin", "three", "-dump")
	require.NotZero(t, status)
	require.Contains(t, text, "flag -plugin=three: the plugins here are one, two")

	dir := t.TempDir()
	_, _, status = says(t, "pair", "pair", "-plugin", "two", "-install", dir)
	require.Zero(t, status)
	require.FileExists(t, filepath.Join(dir, "kong/plugins/two/handler.lua"))
	require.NoDirExists(t, filepath.Join(dir, "kong/plugins/one"))
}
