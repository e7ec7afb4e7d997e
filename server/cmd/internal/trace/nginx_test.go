package trace

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/luabridge/host"
	"github.com/kongring/kongring/luabridge/testbed"
	"github.com/kongring/kongring/server/cmd/internal/exit"
	"github.com/kongring/kongring/server/cmd/internal/record"
)

// A request fails in nginx, and fails in the same way without it: its record,
// replayed against the plugin's binary, gives the same panic.
func TestFailingRequestIsReplayed(t *testing.T) {
	if err := host.Available(); err != nil {
		t.Skip("skipped: ", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*wait)
	defer cancel()
	dir, err := os.MkdirTemp("", "kr") // short: a socket lies in it
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	build, err := testbed.Compile(ctx, dir, "./luabridge/e2e/probe")
	require.NoError(t, err)
	type object = map[string]interface{}
	bed, err := testbed.Start(ctx, testbed.Options{Build: build, Dir: dir, Config: testbed.Config{
		"plugins": []string{"probe"},
		"routes": []interface{}{object{
			"name": "a", "paths": []string{"/"}, "plugins": []interface{}{object{"name": "probe", "config": object{}}},
		}},
	}})
	require.NoError(t, err)
	stopped := false
	stop := func() {
		if !stopped {
			stopped = true
			require.NoError(t, bed.Stop(ctx))
		}
	}
	defer stop()
	do := func(what string) int {
		request, err := http.NewRequestWithContext(ctx, "GET", bed.Host.URL()+"/a", nil)
		require.NoError(t, err)
		request.Header.Set("x-do", what)
		answer, err := bed.Client.Do(request)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		return answer.StatusCode
	}
	for range 100 { // its getter comes along with the events by now
		require.Less(t, do("nothing"), 500)
	}

	whole, secret := filepath.Join(dir, "whole"), filepath.Join(dir, "secret")
	for path, flags := range map[string][]string{whole: {"--values", "--failed"}, secret: nil} {
		recording, end := context.WithCancelCause(ctx)
		done := make(chan error, 1)
		go func() {
			_, err := kongring(recording, append([]string{"record", bed.Socket(), "-o", path, "--for", "1h"}, flags...)...)
			done <- err
		}()
		require.Eventually(t, func() bool { _, err := os.Stat(path); return err == nil }, wait, time.Millisecond)
		require.Less(t, do("nothing"), 500)
		require.Equal(t, 500, do("panic:over the moon"))
		require.Less(t, do("nothing"), 500)
		require.Eventually(t, func() bool {
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			return strings.Contains(string(text), `"status":"panic"`)
		}, wait, time.Millisecond)
		end(exit.Interrupted)
		require.ErrorIs(t, <-done, context.Canceled)
	}
	stop() // from here on there is no nginx

	out, err := kongring(ctx, "show", whole)
	require.NoError(t, err)
	require.Regexp(t, `along  kong.request.get_header\("x-do"\) = "panic:over the moon"`, out)
	require.Contains(t, out, "panic: boom over the moon [event ")

	out, err = kongring(ctx, "replay", whole, build.Server)
	require.NoError(t, err, out)
	require.Regexp(t, `event \d+\.\d+: access of probe agrees: panic: boom over the moon \[event 1\.0\.\d+\]\n(.*\n)+ +.*probe/main.go`, out)
	require.Contains(t, out, "\n1 agree with the record, 0 differ\n")

	// Without the header's value there is no panic, and that is said.
	r, err := read(secret, nil)
	require.NoError(t, err)
	require.True(t, r.Redacted)
	require.Equal(t, record.EndAsked, r.End)
	text, err := os.ReadFile(secret)
	require.NoError(t, err)
	require.NotContains(t, string(text), "panic:over")
	out, err = kongring(ctx, "replay", secret, build.Server)
	require.ErrorIs(t, err, exit.ErrFindings)
	require.Contains(t, out, "it ended with done, the record has panic: boom over the moon")
	require.Contains(t, out, `header values, bodies and secrets are not in the record: texts of "x" stood for them`)
}
