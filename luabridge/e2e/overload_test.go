package e2e_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/luabridge/testbed"
)

// What is more than a plugin may have under way is refused at once, and the
// plugins beside it do not notice.
func TestOverloadIsRefusedAtOnce(t *testing.T) {
	b := start(t, func(o *testbed.Options) {
		o.Config = testbed.Config{
			"plugins": []string{"probe", "narrow"},
			"routes": []interface{}{
				object{"name": "d", "paths": []string{"/direct"}, "plugins": []interface{}{object{"name": "probe"}}},
				object{"name": "n", "paths": []string{"/narrow"}, "plugins": []interface{}{object{"name": "narrow"}}},
			},
		}
	})
	b.answers()
	first := make(chan reply, 1)
	go func() {
		r, err := b.try("/narrow", nil)
		require.NoError(t, err)
		first <- r
	}()
	b.eventually("the first request is under way", func() bool {
		stats, err := b.Server.Stats()
		require.NoError(t, err)
		return stats.Sessions[0].UnderWay == 1
	})
	for range 3 {
		r, err := b.try("/narrow", nil)
		require.NoError(t, err)
		require.Equal(t, 503, r.status)
		require.JSONEq(t, message("The plugin server is not available"), r.body)
		b.answers()
	}
	b.logged(`plugin narrow, instance .*, phase access: unavailable: plugin narrow has all 1 events under way that it may have in a worker`)
	require.Equal(t, 200, b.do("let-go").status)
	require.Equal(t, 200, (<-first).status)
	r, err := b.try("/narrow", nil)
	require.NoError(t, err)
	require.Equal(t, 200, r.status)

	stats, err := b.Server.Stats()
	require.NoError(t, err)
	require.Equal(t, uint64(3), stats.Sessions[0].Server.Overloads)
}
