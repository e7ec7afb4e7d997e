package kongtest_test

import (
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/luabridge/kongrun"
	"github.com/kongring/kongring/server"
)

// twoWorkers are Kong's options in most tests. The environment goes over the
// file, as it does for an operator.
func twoWorkers(o *kongrun.Options) {
	o.Workers = 2
	o.Settings = map[string]string{"nginx_worker_processes": "1"}
	o.Env = map[string]string{"KONG_NGINX_WORKER_PROCESSES": "2"}
}

func TestOneRequest(t *testing.T) {
	b := start(t, nil)
	status, body, err := b.get("/s/a")
	require.NoError(t, err)
	require.Equal(t, 200, status, body)
	require.Equal(t, "hello /s/a", body)
}

// attached waits until workers, and no others, are attached to the server.
func (b *bed) attached(workers []int) {
	b.t.Helper()
	b.eventually("the workers are attached", func() bool {
		stats, err := server.Inspect(b.Socket(), patience)
		var got []int
		for _, s := range stats.Sessions {
			got = append(got, s.PID)
		}
		slices.Sort(got)
		return err == nil && slices.Equal(got, slices.Sorted(slices.Values(workers)))
	})
}

// busy tells whether a handler runs.
func (b *bed) busy() bool {
	stats, err := server.Inspect(b.Socket(), patience)
	return err == nil && slices.ContainsFunc(stats.Sessions, func(s server.SessionStats) bool { return s.UnderWay > 0 })
}

func TestReloadUnderLoad(t *testing.T) {
	b := start(t, twoWorkers)
	l := newLoad(b, 4)
	for range 2 {
		l.more()
		require.NoError(t, b.kong.Reload(b.ctx))
		l.more()
		workers, err := b.kong.Workers()
		require.NoError(t, err)
		b.attached(workers)
	}
	require.Empty(t, l.stop())
}

func TestConfigUnderLoad(t *testing.T) {
	b := start(t, twoWorkers)
	l := newLoad(b, 4)
	l.says("hello")
	require.NoError(t, b.kong.Configure(b.ctx, config("from the Admin API")))
	l.says("from the Admin API")
	require.NoError(t, b.kong.Write(config("from the file")))
	require.NoError(t, b.kong.Reload(b.ctx))
	l.says("from the file")
	require.Empty(t, l.stop())
}

func TestServerKilled(t *testing.T) {
	b := start(t, twoWorkers)
	b.answers()
	b.Server.Kill()
	status, body, err := b.get("/s")
	require.NoError(t, err)
	require.Equal(t, 503, status)
	require.Contains(t, body, "The plugin server is not available")
	require.NoError(t, b.StartServer(b.ctx))
	b.answers()
}

func TestQuit(t *testing.T) {
	b := start(t, func(o *kongrun.Options) {
		o.Workers = 2
		o.Config = configOf(object{"message": "slow", "wait": time.Second})
	})
	workers, err := b.kong.Workers()
	require.NoError(t, err)
	require.Len(t, workers, 2)
	b.attached(workers)

	answer := make(chan string)
	go func() {
		_, body, err := b.get("/s/last")
		if err != nil {
			body = err.Error()
		}
		answer <- body
	}()
	b.eventually("the handler runs", b.busy)
	require.NoError(t, b.kong.Stop(b.ctx))
	require.Equal(t, "slow /s/last", <-answer)
	for _, pid := range workers {
		require.ErrorIs(t, syscall.Kill(pid, 0), syscall.ESRCH)
	}
	b.attached(nil)
}
