package e2e_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/luabridge/testbed"
)

// With values sent along, writes posted and answers remembered, a request sees
// and does what it does when every call is a round trip.
func TestSameWithAndWithoutRoundTrips(t *testing.T) {
	run := func(args ...string) (replies []string) {
		b := start(t, func(o *testbed.Options) { o.Args = args; o.Host.Listen = "127.0.0.1:0" })
		for range 40 { // learns meanwhile
			for _, path := range []string{"/direct/a?a=1&a=2", "/direct/b?flag&a=", "/probe/c"} {
				r, err := b.try(path, nil, "x-do", "mix", "x-twice", "one", "x-twice", "two", "host", "kong.test")
				require.NoError(t, err)
				require.Equal(t, 200, r.status, r.body)
				r.header.Del("date")
				replies = append(replies, r.body)
				for _, name := range []string{"x-mix", "x-got-mix", "x-seen"} {
					replies = append(replies, r.header.Values(name)...)
				}
			}
		}
		stats, err := b.Server.Stats()
		require.NoError(t, err)
		c := stats.Sessions[0].Server
		if len(args) == 0 {
			require.Positive(t, c.PrefetchHits)
			require.Positive(t, c.Posted)
		} else {
			require.Zero(t, c.PrefetchHits+c.Posted+c.MemoHits)
		}
		return replies
	}
	require.Equal(t, run("-sync"), run())
}

// A write that Kong refuses ends the event with 500 when it is applied, whatever
// the handler does after it, and the log names it.
func TestRefusedWriteEndsTheEvent(t *testing.T) {
	b := start(t, nil)
	r := b.do("bad-argument")
	require.Equal(t, 500, r.status)
	require.JSONEq(t, message("An unexpected error occurred"), r.body)
	b.logged(`plugin probe: kong.response.set_status: `)
	b.answers()
}
