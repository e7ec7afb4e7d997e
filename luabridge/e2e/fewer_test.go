package e2e_test

import (
	"context"
	"net/http"
	"strings"
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

// Values that cannot come along are asked for, and those behind them come.
func TestGettersThatCannotComeAlong(t *testing.T) {
	b := start(t, func(o *testbed.Options) {
		o.Config["plugins"] = []string{"early", "greedy"}
		o.Config["routes"] = []interface{}{
			object{"name": "d", "paths": []string{"/direct"}, "plugins": []interface{}{object{"name": "greedy"}}},
		}
	})
	const n = 20
	for range n {
		r, err := b.try("/direct/x", nil, "x-early", "big")
		require.NoError(t, err)
		require.Equal(t, 200, r.status, r.body)
		require.Regexp(t, `^\[20480,null,"/direct/x",".*function.*"\]$`, r.body)
	}
	b.eventually("every event ends", func() bool {
		stats, err := b.Server.Stats()
		require.NoError(t, err)
		return stats.Sessions[0].UnderWay == 0
	})
	stats, err := b.Server.Stats()
	require.NoError(t, err)
	require.EqualValues(t, 1, stats.SessionsBegun)
	// All but the first two events, which are before the profile, know the
	// path, and that there is no value.
	require.GreaterOrEqual(t, stats.Sessions[0].Server.PrefetchHits, uint64(2*(n-2)))
}

// A client that goes away leaves an event that comes to its end, and its slot.
func TestClientThatGoesAway(t *testing.T) {
	b := start(t, nil)
	ctx, leave := context.WithCancel(b.ctx)
	gone := make(chan error, 1)
	go func() {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, b.Host.URL()+"/direct", strings.NewReader("x"))
		if err == nil {
			r.Header.Set("x-do", "sleep:300ms")
			_, err = b.Client.Do(r)
		}
		gone <- err
	}()
	b.logged("probe: sleeps")
	leave()
	require.ErrorIs(t, <-gone, context.Canceled)
	b.eventually("the slot is free, on both sides", func() bool {
		stats, err := b.Server.Stats()
		require.NoError(t, err)
		n := stats.Sessions[0]
		return n.UnderWay == 0 && n.Bridge.Open == 0 && n.Bridge.Events == n.Bridge.EventsDone
	})
	b.answers()
	stats, err := b.Server.Stats()
	require.NoError(t, err)
	require.EqualValues(t, 1, stats.SessionsBegun)
}

// More writes than wait for a message, in number and in bytes, go by themselves.
func TestManyWrites(t *testing.T) {
	b := start(t, nil)
	r := b.do("writes:3000")
	require.Equal(t, 200, r.status, r.body)
	require.Equal(t, "2999 1048576", r.body)
}
