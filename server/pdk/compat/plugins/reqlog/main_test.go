package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/Kong/go-pdk/test"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const fromKong = `{
  "request": {"method": "POST", "uri": "/a/b?q=1&q=2", "querystring": {"q": ["1", "2"], "flag": true},
              "headers": {"host": "example.com", "authorization": "Bearer x"}},
  "response": {"status": 201}, "latencies": {"kong": 1}
}`

func TestEntry(t *testing.T) {
	conf := *New().(*Config)
	conf.Tags = map[string]string{"env": "test"}
	got := conf.entry(json.RawMessage(fromKong))
	require.NotNil(t, got)
	assert.JSONEq(t, fromKong, string(got.Kong))
	got.Kong = nil
	assert.Equal(t, &Entry{
		Method: "POST", Path: "/a/b", Status: 201, Query: map[string][]string{"q": {"1", "2"}},
		Headers: map[string][]string{"host": {"example.com"}, "authorization": {"hidden"}}, Tags: conf.Tags,
	}, got)
}

func TestRules(t *testing.T) {
	for _, tc := range []struct {
		rule Rule
		kept bool
	}{
		{Rule{Prefix: "/a"}, false},
		{Rule{Prefix: "/b"}, true},
		{Rule{Prefix: "/a", Weight: 1}, true},
		{Rule{Prefix: "/a", Status: []int{200, 201}}, false},
		{Rule{Prefix: "/a", Status: []int{500}}, true},
	} {
		conf := Config{Sampled: []Rule{tc.rule}}
		assert.Equal(t, tc.kept, conf.entry(json.RawMessage(fromKong)) != nil, "%+v", tc.rule)
	}
}

func TestBodies(t *testing.T) {
	conf := *New().(*Config)
	conf.Bodies = Bodies{Request: true, Response: true, Max: 5}
	env, err := test.New(t, test.Request{Method: "POST", Url: "http://example.com/", Body: []byte("from the client")})
	require.NoError(t, err)
	env.DoAccess(conf)
	env.ServiceRes = test.Response{Status: 200, Body: []byte("of the service")}
	env.DoResponse(conf)
	assert.Equal(t, "from ", env.Ctx.Store["reqlog.request"])
	assert.Equal(t, "of th", env.Ctx.Store["reqlog.response"])
	assert.Equal(t, "body", env.ClientRes.Headers.Get("X-Logged"))
}

func TestSink(t *testing.T) {
	t.Setenv("REQLOG_DIR", t.TempDir())
	s := sinkFor("lines")
	assert.Same(t, s, sinkFor("lines"))
	assert.True(t, s.write([]byte("one")))
	assert.True(t, s.write([]byte("two")))
	require.Eventually(t, func() bool {
		text, _ := os.ReadFile(filepath.Join(os.Getenv("REQLOG_DIR"), "lines"))
		return strings.Count(string(text), "\n") == 2
	}, 10*time.Second, time.Millisecond)
}
