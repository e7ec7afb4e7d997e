package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every getter of the PDK, as the plugin sees it, for one request.
func TestGetters(t *testing.T) {
	b := start(t, nil)
	r, err := b.try("/direct/a%2Fb/../c?a=1&a=2&flag&z=%20", nil, "x-do", "all", "x-twice", "one", "x-twice", "two")
	require.NoError(t, err)
	require.Equal(t, 200, r.status, r.body)
	var got object
	require.NoError(t, json.Unmarshal([]byte(r.body), &got))

	address, err := url.Parse(b.Host.URL())
	require.NoError(t, err)
	port, err := strconv.ParseFloat(address.Port(), 64)
	require.NoError(t, err)
	headers := got["headers"].(object)
	require.Equal(t, []interface{}{"one", "two"}, headers["x-twice"])
	require.Equal(t, []interface{}{"all"}, headers["x-do"])
	delete(got, "headers")
	require.Equal(t, object{
		"scheme": "http", "host": "127.0.0.1", "port": port,
		"forwarded_scheme": "http", "forwarded_host": "127.0.0.1", "forwarded_port": port,
		"http_version": 1.1, "method": "GET",
		"path": "/direct/c", "path_with_query": "/direct/a%2Fb/../c?a=1&a=2&flag&z=%20",
		"raw_query": "a=1&a=2&flag&z=%20", "query_arg": "1", "query_arg_valueless": "", "query_arg_absent": "",
		"query":  object{"a": []interface{}{"1", "2"}, "flag": []interface{}{}, "z": []interface{}{" "}},
		"header": "one", "header_absent": "", "captures": []interface{}{0.0, 0.0},
		"client_ip": "127.0.0.1", "client_forwarded_ip": "127.0.0.1",
		"client_forwarded_port": got["client_forwarded_port"],
		"consumer":              object{"id": "", "created_at": 0.0, "updated_at": 0.0, "username": "", "custom_id": "", "tags": nil, "ws_id": ""},
		"credential":            object{"id": "", "consumer_id": ""}, "protocol": "http",
		"set_shared": nil, "shared": object{"a": 1.0, "b": []interface{}{true, nil, "x"}},
		"shared_early": "from rewrite", "shared_absent": nil,
		"var": "GET", "var_absent": "", "ctx_absent": nil, "subsystem": "http", "start_time_is_recent": true,
	}, got)
	require.Positive(t, got["client_forwarded_port"])
}

func TestBodiesOfAllSizes(t *testing.T) {
	b := start(t, nil)
	for _, size := range []int{1, 1 << 10, 7 << 10, 200 << 10, 1 << 20, 5 << 20} {
		t.Run(strconv.Itoa(size), func(t *testing.T) {
			body := bytes.Repeat([]byte("kongring-"), size/9+1)[:size]
			// To the plugin, from there to the client: nginx spools what is
			// longer than its buffer to a file.
			r, err := b.try("/direct", body, "x-do", "body")
			require.NoError(t, err)
			require.Equal(t, 200, r.status)
			require.True(t, string(body) == r.body, "%d bytes came back as %d", len(body), len(r.body))
			// Past the plugin, to the upstream.
			r, err = b.try("/probe", body)
			require.NoError(t, err)
			require.Equal(t, 200, r.status, r.body[:min(len(r.body), 200)])
			require.True(t, string(body) == r.body, "%d bytes came back as %d", len(body), len(r.body))
		})
	}
}

// False, nil and bytes that are no UTF-8 are in Lua what they are in Go.
func TestWhatProtobufHasNoPlaceFor(t *testing.T) {
	b := start(t, nil)
	r, err := b.try("/probe", []byte("old"), "x-do", "no-protobuf")
	require.NoError(t, err)
	require.Equal(t, 200, r.status, r.body)
	require.Equal(t, "\xff\x00\xfe", r.body, "what the upstream got")
	b.logged(`\[probe\] no protobuf: falsenil true true`)
}

func TestExitInRewrite(t *testing.T) {
	b := start(t, nil)
	r, err := b.try("/direct", nil, "x-early", "exit")
	require.NoError(t, err)
	require.Equal(t, 410, r.status)
	require.Equal(t, "gone", r.body)
	b.answers()
}

func TestLogPhase(t *testing.T) {
	b := start(t, nil)
	r, err := b.try("/probe/what?x=y", nil)
	require.NoError(t, err)
	require.Equal(t, 200, r.status)
	b.logged(`\[probe\] log phase: /probe/what 200`)
}

func TestManyAtOnce(t *testing.T) {
	b := start(t, nil)
	var wg sync.WaitGroup
	var failed [300]string
	for i := range failed {
		deed := "nothing"
		if i%3 == 0 {
			deed = "sleep:30ms"
		}
		wg.Add(1)
		go func() {
			defer wg.Done()
			r, err := b.try("/direct/"+strconv.Itoa(i), nil, "x-do", deed)
			if err != nil || r.status != 200 {
				failed[i] = fmt.Sprintf("%d %s %v", r.status, r.body, err)
			}
		}()
	}
	wg.Wait()
	if failed != [300]string{} {
		stats, err := b.Server.Stats()
		require.NoError(t, err)
		log, _ := b.Host.ErrorLog()
		require.Empty(t, failed, "%+v\n%s\n%s", stats.Sessions, b.Server.Log(), log)
	}
	b.eventually("every event has its end, on both sides", func() bool {
		stats, err := b.Server.Stats()
		require.NoError(t, err)
		n := stats.Sessions[0]
		return n.UnderWay == 0 && n.Bridge.Open == 0 && n.Bridge.Events == n.Bridge.EventsDone &&
			float64(n.Server.Events) == n.Bridge.Events && n.Server.Events == n.Server.EventsDone
	})
}
