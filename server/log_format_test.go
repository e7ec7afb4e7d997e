package server_test

import (
	"bytes"
	"encoding/json"
	"log"
	"log/slog"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/server"
)

// playTalker serves a plugin that writes to the process's own log.
func playTalker(string) error {
	return server.StartServer(func() interface{} {
		log.Print("by log")
		slog.Info("by slog")
		return &scripted{}
	}, "0.1", 1)
}

// What the server and the plugin say is told apart, line by line.
func TestLogFormat(t *testing.T) {
	socket := socketPath(t)
	cmd := command("talker", "", "-socket", socket, "-log-format", "json", "-log-level", "info")
	var text bytes.Buffer
	cmd.Stderr = &text
	require.NoError(t, cmd.Start())
	listening(t, socket)
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, cmd.Wait())
	sources := map[string]string{}
	for line := range strings.Lines(text.String()) {
		var fields struct{ Msg, Source string }
		require.NoError(t, json.Unmarshal([]byte(line), &fields), line)
		sources[fields.Msg] = fields.Source
	}
	require.Equal(t, "server", sources["listening"])
	require.Equal(t, "plugin", sources["by log"])
	require.Equal(t, "plugin", sources["by slog"])

	_, says, status := says(t, "pair", "pair", "-log-format", "yaml")
	require.Equal(t, 2, status)
	require.Contains(t, says, "flag -log-format=yaml: want text or json")
	_, err := server.New(server.WithLogFormat("yaml"))
	require.ErrorContains(t, err, `log format "yaml": want text or json`)
}
