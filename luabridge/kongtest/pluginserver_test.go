package kongtest_test

import (
	"maps"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/luabridge/kongrun"
	"github.com/kongring/kongring/luabridge/testbed"
	"github.com/kongring/kongring/server"
)

// Kong starts the plugin server itself, and another one at each reload, which may
// listen long after Kong has told the old one to stop. No request fails by the bridge. Without it Kong may
// write to a pooled connection at the moment when the old server closes it.
func TestServersOfKong(t *testing.T) {
	for name, change := range map[string]func(*kongrun.Options){
		"bridge": func(*kongrun.Options) {},
		"stock":  func(o *kongrun.Options) { o.LuaPath = nil },
	} {
		t.Run(name, func(t *testing.T) {
			b := startIn(t, testbed.Options{NoServer: true}, func(o *kongrun.Options) {
				twoWorkers(o)
				o.Settings = maps.Clone(pluginServer("subject", subject.Server, o.Dir))
				change(o)
			})
			listens(t, b.ctx, b.Socket())
			b.answers()
			l := newLoad(b, 4)
			for range 2 {
				l.more()
				old := b.serverPID()
				require.NoError(t, b.kong.Reload(b.ctx))
				b.eventually("the old server ends", func() bool { return syscall.Kill(old, 0) != nil })
				l.more()
				require.NotEqual(t, old, b.serverPID())
			}
			failed := l.stop()
			if name == "bridge" {
				require.Empty(t, failed)
			} else {
				t.Logf("%d of %d requests went without the plugin: %q", len(failed), l.sent.Load(), failed)
			}
			b.answers()
			last := b.serverPID()
			require.NoError(t, b.kong.Stop(b.ctx))
			b.eventually("the last server ends", func() bool { return syscall.Kill(last, 0) != nil })
		})
	}
}

// serverPID asks the server that listens for its process id.
func (b *bed) serverPID() int {
	b.t.Helper()
	stats, err := server.Inspect(b.Socket(), time.Minute)
	require.NoError(b.t, err)
	return stats.PID
}
