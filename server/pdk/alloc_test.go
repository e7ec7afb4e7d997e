package pdk_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tinylib/msgp/msgp"

	"github.com/kongring/kongring/server/pdk"
	"github.com/kongring/kongring/server/pdk/bridge"
)

// still answers without an allocation of its own.
type still struct{ answer []byte }

func (s *still) Get(c *bridge.Call) error {
	c.Args()
	c.SetResult(s.answer)
	return nil
}
func (s *still) Post(c *bridge.Call) error { c.Args(); return nil }
func (s *still) Exit(*bridge.Call)         {}
func (s *still) LogLevel() int             { return 4 }
func (s *still) Context() context.Context  { return context.Background() }

// A call allocates its result and nothing else.
func TestAllocations(t *testing.T) {
	c := new(bridge.Call)
	tr := new(still)
	c.Init(tr)
	kong := pdk.Make(c.Open())
	text, number, yes := msgp.AppendString(nil, "a text that needs memory"), msgp.AppendInt(nil, 80000), []byte{0xc3}
	for name, tc := range map[string]struct {
		most   float64
		answer []byte
		call   func()
	}{
		"string":        {1, text, func() { _, _ = kong.Request.GetHeader("x-name") }},
		"bytes":         {1, text, func() { _, _ = kong.ServiceResponse.GetRawBody() }},
		"integer":       {0, number, func() { _, _ = kong.Request.GetPort() }},
		"number":        {0, number, func() { _, _ = kong.Nginx.ReqStartTime() }},
		"boolean":       {0, yes, func() { _, _ = kong.IP.IsTrusted("127.0.0.1") }},
		"write":         {0, nil, func() { _ = kong.Response.SetHeader("x-name", "value") }},
		"several":       {0, nil, func() { _ = kong.Response.SetHeaderValues("x-name", "a", "b") }},
		"numbers":       {0, nil, func() { _ = kong.Service.SetTimeouts(1e9, 1e9, 1e9) }},
		"checked write": {0, yes, func() { _ = kong.Service.SetTlsVerify(true) }},
		"serialized":    {0, nil, func() { _ = kong.Log.SetSerializeValue("a", "b", "set") }},
		"line":          {0, nil, func() { _ = kong.Log.Debug("a", "b") }},
		"exit":          {0, nil, func() { kong.Response.ExitStatus(204) }},
	} {
		t.Run(name, func(t *testing.T) {
			tr.answer = tc.answer
			require.LessOrEqual(t, testing.AllocsPerRun(100, tc.call), tc.most)
		})
	}
}
