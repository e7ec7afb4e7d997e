package kongtest_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/luabridge/kongrun"
	"github.com/kongring/kongring/luabridge/testbed"
)

// patience bounds every wait of these tests.
const patience = 30 * time.Second

// bed is a Kong with the plugin subject, by the bridge, on route /s.
type bed struct {
	*testbed.Bed
	kong *kongrun.Kong
	t    *testing.T
	ctx  context.Context
}

// config has the plugin say message.
func config(message string) kongrun.Config { return configOf(object{"message": message}) }

func configOf(plugin object) kongrun.Config {
	return kongrun.Config{"routes": list{object{
		"name": "s", "paths": list{"/s"}, "plugins": list{object{"name": "subject", "config": plugin}},
	}}}
}

// start puts a bed up until the test ends. change alters Kong's options.
func start(t *testing.T, change func(*kongrun.Options)) *bed {
	t.Helper()
	return startIn(t, testbed.Options{}, change)
}

// startIn is start with options for what is not Kong.
func startIn(t *testing.T, more testbed.Options, change func(*kongrun.Options)) *bed {
	t.Helper()
	ctx, dir := timeLimit(t), shortDir(t)
	more.Build, more.Dir, more.NoHost = subject, dir, true
	b, err := testbed.Start(ctx, more)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Stop(ctx)) })
	o := kongrun.Options{
		Dir: dir, Config: config("hello"), Plugins: []string{"subject"}, LuaPath: []string{b.LuaPath(), installed},
	}
	if change != nil {
		change(&o)
	}
	k, err := kongrun.Start(ctx, o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, k.Stop(ctx)) })
	return &bed{b, k, t, ctx}
}

// get sends a request on a connection of its own: nginx may close a kept one at
// the very moment of its use.
func (b *bed) get(path string) (status int, body string, err error) {
	r, err := http.NewRequestWithContext(b.ctx, http.MethodGet, b.kong.URL()+path, nil)
	if err != nil {
		return 0, "", err
	}
	r.Close = true
	response, err := b.Client.Do(r)
	if err != nil {
		return 0, "", err
	}
	text, err := io.ReadAll(response.Body)
	return response.StatusCode, string(text), errors.Join(err, response.Body.Close())
}

// listens waits for a plugin server that Kong starts.
func listens(t *testing.T, ctx context.Context, socket string) {
	t.Helper()
	require.NoError(t, testbed.Eventually(ctx, patience, "a plugin server listens", func() bool {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			err = conn.Close()
		}
		return err == nil
	}))
}

func (b *bed) eventually(what string, holds func() bool) {
	b.t.Helper()
	if err := testbed.Eventually(b.ctx, patience, what, holds); err != nil {
		log, _ := b.kong.ErrorLog()
		require.NoError(b.t, err, "%s", log[max(0, len(log)-4000):])
	}
}

// answers waits until all of eight requests get the plugin's answer.
func (b *bed) answers() {
	b.t.Helper()
	b.eventually("the plugin answers", func() bool {
		for range 8 {
			if status, _, err := b.get("/s"); err != nil || status != 200 {
				return false
			}
		}
		return true
	})
}
