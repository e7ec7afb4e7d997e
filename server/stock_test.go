package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tinylib/msgp/msgp"

	"github.com/kongring/kongring/server"
	"github.com/kongring/kongring/server/metrics"
	"github.com/kongring/kongring/server/pdk"
	"github.com/kongring/kongring/server/pdk/bridge"
	"github.com/kongring/kongring/server/pdk/client"
	"github.com/kongring/kongring/server/pdk/entities"
	"github.com/kongring/kongring/server/pdk/request"
	"github.com/kongring/kongring/server/wire"
	"github.com/kongring/kongring/shm"
)

func TestStockDump(t *testing.T) {
	s, socket := start(t, withScript(func(*scripted, *pdk.PDK) {}))
	var text bytes.Buffer
	require.NoError(t, s.Dump(&text))
	var dump table
	require.NoError(t, json.Unmarshal(text.Bytes(), &dump))
	require.Equal(t, "MsgPack:1", dump["Protocol"])
	require.Equal(t, socket, dump["SocketPath"])
	plugin := dump["Plugins"].(list)[0].(table)
	for _, field := range []string{"Name", "Version", "Priority", "Phases", "Schema"} {
		require.Contains(t, plugin, field)
	}
	require.Equal(t, list{"access"}, plugin["Phases"])
	require.IsType(t, table{}, plugin["Schema"])
	require.Equal(t, plugin["Name"], newStockKong(t, socket).name(plugin["Name"].(string)))
}

// name starts an instance and gives the name in its status.
func (k *stockKong) name(plugin string) interface{} {
	status, text := k.call("InstanceStatus", k.instance(plugin, `{}`))
	require.Empty(k.t, text)
	return status.(table)["Name"]
}

func TestStockResults(t *testing.T) {
	long := strings.Repeat("x", 70000)
	for _, tc := range []struct {
		name   string
		ask    func(*pdk.PDK) (interface{}, error)
		method string
		args   list
		step   string
		data   interface{}
		want   interface{}
		err    string
	}{
		{name: "string", ask: func(k *pdk.PDK) (interface{}, error) { return k.Request.GetHeader("Host") },
			method: "kong.request.get_header", args: list{"Host"}, step: "Step", data: "a.b", want: "a.b"},
		{name: "string of 40 bytes", ask: func(k *pdk.PDK) (interface{}, error) { return k.Request.GetPath() },
			method: "kong.request.get_path", step: "Step", data: long[:40], want: long[:40]},
		{name: "long string", ask: func(k *pdk.PDK) (interface{}, error) { return k.Request.GetPath() },
			method: "kong.request.get_path", step: "Step", data: long, want: long},
		{name: "nothing", ask: func(k *pdk.PDK) (interface{}, error) { return k.Request.GetHeader("X") },
			method: "kong.request.get_header", args: list{"X"}, step: "Step", want: ""},
		{name: "wrong type", ask: func(k *pdk.PDK) (interface{}, error) { return k.Request.GetPath() },
			method: "kong.request.get_path", step: "Step", data: 7, want: "", err: "expected type: string"},
		{name: "query argument without a value", ask: func(k *pdk.PDK) (interface{}, error) { return k.Request.GetQueryArg("q") },
			method: "kong.request.get_query_arg", args: list{"q"}, step: "Step", data: true, want: ""},
		{name: "integer", ask: func(k *pdk.PDK) (interface{}, error) { return k.Request.GetPort() },
			method: "kong.request.get_port", step: "Step", data: 8443, want: 8443},
		{name: "number", ask: func(k *pdk.PDK) (interface{}, error) { return k.Request.GetHttpVersion() },
			method: "kong.request.get_http_version", step: "Step", data: 1.1, want: 1.1},
		{name: "any", ask: func(k *pdk.PDK) (interface{}, error) { return k.Ctx.GetSharedAny("k") },
			method: "kong.ctx.shared.get", args: list{"k"}, step: "Step",
			data: table{"a": list{1, "b", true}, "c": luaTable{}}, want: table{"a": list{1.0, "b", true}, "c": list{}}},
		{name: "headers", ask: func(k *pdk.PDK) (interface{}, error) { return k.Request.GetHeaders(-1) },
			method: "kong.request.get_headers", args: list{int64(100)}, step: "StepMultiMap",
			data: table{"host": list{"a"}, "x": list{"1", "2"}, "one": "v", "flag": true, "empty": list{}, "mixed": list{true, "2"}},
			want: map[string][]string{"host": {"a"}, "x": {"1", "2"}, "one": {"v"}, "flag": {}, "empty": {}, "mixed": {"", "2"}}},
		{name: "no headers", ask: func(k *pdk.PDK) (interface{}, error) { return k.Request.GetQuery(5) },
			method: "kong.request.get_query", args: list{int64(5)}, step: "StepMultiMap",
			data: luaTable{}, want: map[string][]string{}},
		{name: "list for headers", ask: func(k *pdk.PDK) (interface{}, error) { return k.Response.GetHeaders(1) },
			method: "kong.response.get_headers", args: list{int64(1)}, step: "StepMultiMap",
			data: list{"x"}, want: map[string][]string(nil), err: "result of kong.response.get_headers"},
		{name: "body", ask: func(k *pdk.PDK) (interface{}, error) { return k.Request.GetRawBody() },
			method: "kong.request.get_raw_body", step: "Step", data: []byte("\x00\xff" + long), want: []byte("\x00\xff" + long)},
		{name: "no body", ask: func(k *pdk.PDK) (interface{}, error) { return k.Request.GetRawBody() },
			method: "kong.request.get_raw_body", step: "Step", want: []byte(nil), err: "no body"},
		{name: "captures", ask: captures,
			method: "kong.request.get_uri_captures", step: "Step",
			data: table{"unnamed": luaTable{0: "/a/b", 1: "a", 2: "b"}, "named": table{"n": "b"}},
			want: pair{[][]byte{[]byte("a"), []byte("b")}, map[string][]byte{"n": []byte("b")}}},
		{name: "captures without the match", ask: captures,
			method: "kong.request.get_uri_captures", step: "Step",
			data: table{"unnamed": list{"a"}, "named": luaTable{}},
			want: pair{[][]byte{[]byte("a")}, map[string][]byte(nil)}},
		{name: "no captures", ask: captures,
			method: "kong.request.get_uri_captures", step: "Step", want: pair{}},
		{name: "consumer", ask: func(k *pdk.PDK) (interface{}, error) { return k.Client.GetConsumer() },
			method: "kong.client.get_consumer", step: "StepConsumer",
			data: table{"id": "c", "username": "u", "tags": list{"t"}, "created_at": 7},
			want: entities.Consumer{Id: "c", Username: "u", Tags: []string{"t"}, CreatedAt: 7}},
		{name: "no consumer", ask: func(k *pdk.PDK) (interface{}, error) { return k.Client.GetConsumer() },
			method: "kong.client.get_consumer", step: "StepConsumer", want: entities.Consumer{}},
		{name: "empty credential", ask: func(k *pdk.PDK) (interface{}, error) { return k.Client.GetCredential() },
			method: "kong.client.get_credential", step: "StepCredential", data: luaTable{}, want: client.AuthenticatedCredential{}},
		{name: "write", ask: func(k *pdk.PDK) (interface{}, error) {
			return nil, k.Response.SetHeaders(map[string][]string{"a": {"b"}})
		}, method: "kong.response.set_headers", args: list{table{"a": list{"b"}}}, step: "Step"},
		{name: "log line", ask: func(k *pdk.PDK) (interface{}, error) { return nil, k.Log.Debug("n ", 1, nil, true) },
			method: "kong.log.debug", args: list{"n ", int64(1), nil, true}, step: "Step"},
		{name: "route", ask: func(k *pdk.PDK) (interface{}, error) { return k.Router.GetRoute() },
			method: "kong.router.get_route", step: "StepRoute", data: table{"id": "r", "paths": list{"/"}, "service": table{"id": "s"}},
			want: entities.Route{Id: "r", Paths: []string{"/"}, Service: entities.ServiceKey{Id: "s"}}},
		{name: "service of a route without one", ask: func(k *pdk.PDK) (interface{}, error) { return k.Router.GetService() },
			method: "kong.router.get_service", step: "StepService", data: luaTable{}, want: entities.Service{}},
		{name: "body of the service", ask: func(k *pdk.PDK) (interface{}, error) { return k.ServiceResponse.GetRawBody() },
			method: "kong.service.response.get_raw_body", step: "Step", data: []byte("\x00\xff"), want: []byte("\x00\xff")},
		{name: "parsed body", ask: parsedBody,
			method: "kong.request.get_body", args: list{nil, nil, nil}, step: "Step", data: table{"a": list{1}},
			want: pair{table{"a": list{1.0}}, ""}},
		{name: "body that cannot be parsed", ask: parsedBody,
			method: "kong.request.get_body", args: list{nil, nil, nil}, step: "Step", want: pair{nil, ""},
			err: "result of kong.request.get_body: it failed, and Kong does not say why"},
		{name: "checked write", ask: func(k *pdk.PDK) (interface{}, error) { return nil, k.Service.SetUpstream("u") },
			method: "kong.service.set_upstream", args: list{"u"}, step: "Step", data: true},
		{name: "checked write that failed", ask: func(k *pdk.PDK) (interface{}, error) { return nil, k.Service.SetUpstream("u") },
			method: "kong.service.set_upstream", args: list{"u"}, step: "Step",
			err: "result of kong.service.set_upstream: it failed, and Kong does not say why"},
		{name: "value of the plugin's own", ask: func(k *pdk.PDK) (interface{}, error) { return k.Ctx.GetPluginAny("k") },
			method: "kong.ctx.shared.get", args: list{"kongring.plugin.e.k"}, step: "Step", data: 5, want: 5.0},
		{name: "write of the plugin's own", ask: func(k *pdk.PDK) (interface{}, error) { return nil, k.Ctx.SetPlugin("k", list{1}) },
			method: "kong.ctx.shared.set", args: list{"kongring.plugin.e.k", list{int64(1)}}, step: "Step"},
		{name: "error", ask: func(k *pdk.PDK) (interface{}, error) { return k.Nginx.GetVar("v") },
			method: "kong.nginx.get_var", args: list{"v"}, step: "StepError", data: "no such thing",
			want: "", err: "kong.nginx.get_var: no such thing"},
		{name: "error of a write", ask: func(k *pdk.PDK) (interface{}, error) { return nil, k.Response.SetStatus(7) },
			method: "kong.response.set_status", args: list{int64(7)}, step: "StepError", data: "status",
			err: "kong.response.set_status: status"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := make(chan pair, 1)
			_, socket := start(t, withScript(func(_ *scripted, kong *pdk.PDK) {
				v, err := tc.ask(kong)
				got <- pair{v, err}
			}))
			k := newStockKong(t, socket)
			step := k.handle(k.instance("scripted", `{"__plugin_id":"e"}`))
			require.Equal(t, tc.method, step.method)
			if tc.args == nil {
				tc.args = list{}
			}
			require.Equal(t, tc.args, step.args)
			require.True(t, k.step(step, tc.step, tc.data).ret)
			result := <-got
			require.Equal(t, tc.want, result[0])
			if tc.err != "" {
				require.ErrorContains(t, result[1].(error), tc.err)
			} else {
				require.Nil(t, result[1])
			}
		})
	}
}

type pair [2]interface{}

func captures(k *pdk.PDK) (interface{}, error) {
	unnamed, named, err := k.Request.GetUriCaptures()
	if unnamed == nil {
		return pair{}, err
	}
	return pair{unnamed, named}, err
}

func parsedBody(k *pdk.PDK) (interface{}, error) {
	body, mimetype, err := k.Request.GetBody(request.BodyOptions{})
	return pair{body, mimetype}, err
}

func TestStockMemo(t *testing.T) {
	_, socket := plain(t, withScript(func(_ *scripted, kong *pdk.PDK) {
		for range 3 {
			path, err := kong.Request.GetPath()
			require.NoError(t, err)
			require.Equal(t, "/p", path)
		}
	}))
	k := newStockKong(t, socket)
	in := k.instance("scripted", `{}`)
	for range 2 {
		step := k.handle(in)
		require.Equal(t, "kong.request.get_path", step.method)
		require.True(t, k.step(step, "Step", "/p").ret, "asked once in an event")
	}
}

func TestStockEventsSideBySide(t *testing.T) {
	const events, calls = 16, 40
	s, socket := start(t, withScript(func(_ *scripted, kong *pdk.PDK) {
		first, err := kong.Nginx.GetVar("event")
		for i := 0; i < calls && err == nil; i++ {
			var again string
			if again, err = kong.Nginx.GetVar("event"); again != first {
				panic(fmt.Sprintf("call of event %s got the answer of %s", first, again))
			}
		}
		if err != nil {
			panic(err)
		}
	}))
	for _, fresh := range []bool{false, true} {
		t.Run(fmt.Sprintf("fresh %v", fresh), func(t *testing.T) {
			k := newStockKong(t, socket)
			k.fresh = fresh
			in := k.instance("scripted", `{}`)
			steps := make(chan stockStep, events)
			for range events {
				steps <- k.handle(in)
			}
			var all sync.WaitGroup
			var ended atomic.Int32
			for range events {
				// A goroutine takes whichever event is next, so that an event goes
				// on over any of the connections.
				all.Go(func() {
					for step := range steps {
						if step = k.step(step, "Step", fmt.Sprint(step.event)); !step.ret {
							steps <- step
							continue
						}
						if ended.Add(1) == events {
							close(steps)
						}
						return
					}
				})
			}
			all.Wait()
			require.Zero(t, s.StockEvents())
		})
	}
}

func TestStockExit(t *testing.T) {
	errs := make(chan error, 3)
	s, socket := start(t, withScript(func(_ *scripted, kong *pdk.PDK) {
		kong.Response.Exit(403, []byte("no"), map[string][]string{"x": {"y"}})
		_, err := kong.Request.GetPath()
		errs <- err
		errs <- kong.Response.SetStatus(200)
		errs <- context.Cause(kong.Context())
		kong.Response.ExitStatus(500)
	}))
	k := newStockKong(t, socket)
	step := k.handle(k.instance("scripted", `{}`))
	require.Equal(t, "kong.response.exit", step.method)
	require.Equal(t, list{int64(403), []byte("no"), table{"x": list{"y"}}}, step.args)
	for range 3 {
		require.ErrorIs(t, <-errs, bridge.ErrOver)
	}
	require.Zero(t, s.StockEvents())
	_, text := k.call("Step", table{"EventId": step.event})
	require.Equal(t, fmt.Sprintf("no running event %v", step.event), text)
}

func TestStockErrors(t *testing.T) {
	_, socket := start(t, withScript(func(s *scripted, kong *pdk.PDK) {
		switch s.Name {
		case "panic":
			panic("boom")
		case "goexit":
			runtime.Goexit()
		}
	}))
	k := newStockKong(t, socket)
	in := k.instance("scripted", `{}`)
	gone := k.instance("scripted", `{"name":"gone"}`)
	status, text := k.call("CloseInstance", gone)
	require.Empty(t, text)
	require.Equal(t, table{"name": "gone"}, status.(table)["Config"])
	for _, tc := range []struct {
		name, method string
		arg          interface{}
		want         string
	}{
		{"unknown instance", "HandleEvent", table{"InstanceId": 99, "EventName": "access"}, "no plugin instance 99"},
		{"closed instance", "HandleEvent", table{"InstanceId": gone, "EventName": "access"}, fmt.Sprintf("no plugin instance %v", gone)},
		{"closed twice", "CloseInstance", gone, fmt.Sprintf("no plugin instance %v", gone)},
		{"status of none", "InstanceStatus", 98, "no plugin instance 98"},
		{"unknown event", "Step", table{"EventId": 97, "Data": 1}, "no running event 97"},
		{"phase without handler", "HandleEvent", table{"InstanceId": in, "EventName": "log"}, "undefined method log on plugin scripted"},
		{"unknown phase", "HandleEvent", table{"InstanceId": in, "EventName": ""}, "undefined method  on plugin scripted"},
		{"panic", "HandleEvent", table{"InstanceId": k.instance("scripted", `{"name":"panic"}`), "EventName": "access"},
			"plugin scripted panicked in phase access: boom"},
		{"goexit", "HandleEvent", table{"InstanceId": k.instance("scripted", `{"name":"goexit"}`), "EventName": "access"},
			"the handler called runtime.Goexit"},
		{"unknown method", "Nothing", 1, "no method plugin.Nothing"},
		{"unknown plugin", "StartInstance", table{"Name": "q", "Config": "{}"}, `no plugin named "q"`},
		{"bad config", "StartInstance", table{"Name": "scripted", "Config": `{"name":{"secret":1}}`}, `field "name" does not fit`},
		{"config of another type", "StartInstance", table{"Name": "scripted", "Config": 7}, "plugin.StartInstance: Config: "},
		{"no name", "StartInstance", table{"Config": "{}"}, "plugin.StartInstance: Name: "},
		{"no instance", "HandleEvent", table{"EventName": "access"}, "plugin.HandleEvent: InstanceId: "},
		{"empty table", "Step", luaTable{}, "plugin.Step: EventId: "},
		{"string for an instance", "CloseInstance", "x", "plugin.CloseInstance: instance: "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, text := k.call(tc.method, tc.arg)
			require.Contains(t, text, tc.want)
			require.NotContains(t, text, "secret")
		})
	}
	require.True(t, k.handle(in).ret, "the server goes on")
	require.Len(t, k.idle, 1, "over the same connection")
}

func TestStockInstances(t *testing.T) {
	s, socket := start(t, withScript(func(*scripted, *pdk.PDK) {}))
	a, b := newStockKong(t, socket), newStockKong(t, socket)
	first := a.instance("scripted", `{"name":"x","__plugin_id":"e","__seq__":1}`)
	second := b.instance("scripted", `{"name":"x","__plugin_id":"e","__seq__":2}`)
	require.NotEqual(t, first, second)
	w := attach(t, socket)
	started, _ := w.startInstance("scripted", "e", `{"name":"x","__plugin_id":"e","__seq__":3}`)
	require.Zero(t, started.Code)
	require.Equal(t, 1, s.Instances(), "shared by all, whichever way they came")
	w.hangUp()
	for i, id := range []interface{}{first, second} {
		require.Equal(t, 1, s.Instances(), i)
		_, text := a.call("CloseInstance", id)
		require.Empty(t, text)
	}
	require.Eventually(t, func() bool { return s.Instances() == 0 }, patience, time.Millisecond)
}

func TestStockLimits(t *testing.T) {
	errs := make(chan error, 1)
	_, socket := start(t, server.WithMaxMessage(1<<10), withScript(func(s *scripted, kong *pdk.PDK) {
		if s.Name == "long call" {
			errs <- kong.Response.SetHeader("x", strings.Repeat("y", 2<<10))
			kong.Response.Exit(200, make([]byte, 2<<10), nil)
			return
		}
		_, err := kong.Request.GetRawBody()
		errs <- err
	}))
	k := newStockKong(t, socket)
	in := k.instance("scripted", `{}`)
	for range 20 { // the number of the event comes before the data or behind it
		step := k.handle(in)
		require.True(t, k.step(step, "Step", make([]byte, 1<<20)).ret)
		require.ErrorContains(t, <-errs, "the answer is longer than 1024 bytes")
	}
	_, text := k.call("StartInstance", table{"Name": "scripted", "Config": strings.Repeat(" ", 2<<10)})
	require.Equal(t, "plugin.StartInstance: the request is longer than 1024 bytes", text)
	require.Len(t, k.idle, 1, "all over one connection")

	_, text = k.call("HandleEvent", table{"InstanceId": k.instance("scripted", `{"name":"long call"}`), "EventName": "access"})
	require.ErrorContains(t, <-errs, "the call is too long")
	require.Contains(t, text, "kong.response.exit: the call is too long")
}

func TestStockDamage(t *testing.T) {
	s, socket := start(t, withScript(func(*scripted, *pdk.PDK) {}))
	deep := append(pack(nil, list{0, 1, "plugin.Step"})[1:], bytes.Repeat([]byte{0x91}, 1000)...)
	huge := func(head ...byte) []byte { return append([]byte{0x94, 0, 1, 0xa1, 'm', 0x91}, head...) }
	for name, tc := range map[string]struct {
		bytes []byte
		more  bool // the server waits for more
	}{
		"cut off":          {[]byte{0x94, 0}, true},
		"kind":             {pack(nil, list{1, 1, "m", list{}}), false},
		"id":               {pack(nil, list{0, "x", "m", list{}}), false},
		"negative id":      {pack(nil, list{0, -1, "m", list{}}), false},
		"method":           {pack(nil, list{0, 1, 7, list{}}), false},
		"long method":      {pack(nil, list{0, 1, strings.Repeat("m", 100), list{}}), false},
		"arguments":        {pack(nil, list{0, 1, "m", 7}), false},
		"two arguments":    {pack(nil, list{0, 1, "m", list{1, 2}}), false},
		"many fields":      {huge(0xdf, 0xff, 0xff, 0xff, 0xff), false},
		"name of field":    {huge(0x81, 0x01, 0x01), false},
		"invalid byte":     {huge(0xc1), false},
		"deep":             {append([]byte{0x94}, deep...), false},
		"4 GB of bytes":    {huge(0xc6, 0xff, 0xff, 0xff, 0xff), true},
		"4 GB of text":     {huge(0x81, 0xdb, 0xff, 0xff, 0xff, 0xff), true},
		"4 G of elements":  {huge(0xdd, 0xff, 0xff, 0xff, 0xff, 0x01), true},
		"4 G of pairs":     {huge(0x81, 0xa1, 'x', 0xdf, 0xff, 0xff, 0xff, 0xff), true},
		"4 GB for the id":  {[]byte{0x94, 0, 0xc6, 0xff, 0xff, 0xff, 0xff}, true},
		"4 GB of a method": {[]byte{0x94, 0, 1, 0xdb, 0xff, 0xff, 0xff, 0xff}, true},
	} {
		t.Run(name, func(t *testing.T) {
			k := newStockKong(t, socket)
			c := k.dial()
			defer c.Close()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := c.Write(tc.bytes)
			require.NoError(t, err)
			if tc.more {
				require.NoError(t, c.CloseWrite())
			}
			_, err = io.ReadAll(c)
			if err != nil { // closed with bytes unread
				require.ErrorContains(t, err, "reset")
			}
			runtime.ReadMemStats(&after)
			require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(4<<20))
			require.True(t, k.handle(k.instance("scripted", `{}`)).ret, "others are served")
		})
	}
	require.Eventually(t, func() bool { return s.StockConns() == 0 }, patience, time.Millisecond)
}

func FuzzStockRequest(f *testing.F) {
	_, socket := start(f, withScript(func(_ *scripted, kong *pdk.PDK) { _, _ = kong.Request.GetHeaders(1) }))
	f.Add(pack(nil, list{0, 1, "plugin.HandleEvent", list{table{"InstanceId": 1, "EventName": "access"}}}))
	f.Add(pack(nil, list{0, 1, "plugin.StepMultiMap", list{table{"EventId": 1, "Data": table{"a": "b"}}}}))
	f.Add(pack(nil, list{0, 1, "plugin.StartInstance", list{table{"Name": "scripted", "Config": "{}"}}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		k := newStockKong(t, socket)
		c := k.dial()
		_, _ = c.Write(b)
		_ = c.CloseWrite()
		_, _ = io.Copy(io.Discard, c)
		_ = c.Close()
	})
}

func TestStockBesideTheBridge(t *testing.T) {
	_, socket := start(t, withScript(func(s *scripted, kong *pdk.PDK) {
		if _, err := kong.Request.GetPath(); err != nil {
			panic(err)
		}
	}))
	k, w := newStockKong(t, socket), attach(t, socket)
	ours, theirs := w.instance("scripted", `{}`), k.instance("scripted", `{}`)
	for range 100 {
		head, step := w.event(0, ours), k.handle(theirs)
		w.expect(wire.TypeCall, head)
		w.answer(head, msgp.AppendString(nil, "/ring"))
		require.True(t, k.step(step, "Step", "/stock").ret)
		w.expect(wire.TypeDone, head)
	}
	_, err := server.Inspect(socket, patience)
	require.NoError(t, err)
}

func TestStockEventTime(t *testing.T) {
	errs := make(chan error, 1)
	s, socket := start(t, withScript(func(s *scripted, kong *pdk.PDK) {
		if s.Name == "slow" {
			<-kong.Context().Done()
			errs <- context.Cause(kong.Context())
			return
		}
		_, err := kong.Request.GetPath()
		errs <- err
	}))
	s.SetStockTime(50 * time.Millisecond)
	k := newStockKong(t, socket)
	watch(t, socket)
	step := k.handle(k.instance("scripted", `{}`))
	require.Equal(t, "kong.request.get_path", step.method)
	err := <-errs // no step comes
	require.ErrorIs(t, err, bridge.ErrOver)
	require.ErrorContains(t, err, "nothing was heard for 50ms")
	require.Zero(t, s.StockEvents())
	_, text := k.call("Step", table{"EventId": step.event, "Data": "/late"})
	require.Contains(t, text, "no running event")

	_, text = k.call("HandleEvent", table{"InstanceId": k.instance("scripted", `{"name":"slow"}`), "EventName": "access"})
	require.Contains(t, text, "nothing was heard for 50ms")
	require.ErrorIs(t, <-errs, bridge.ErrOver)

	_, text = k.call("HandleEvent", table{"InstanceId": k.instance("scripted", `{}`), "EventName": "log"})
	require.Contains(t, text, "undefined method log")
	require.Eventually(t, func() bool { return s.Stats().Stock.UnderWay == 0 }, patience, time.Millisecond)
	stats := s.Stats().Stock
	require.Len(t, stats.Events, 1)
	row := stats.Events[0]
	require.Equal(t, []string{"scripted", "access"}, []string{row.Plugin, row.Phase})
	require.EqualValues(t, 2, row.Events)
	require.EqualValues(t, 2, row.Failed[metrics.Deadline])
	require.EqualValues(t, 1, row.Calls[metrics.RoundTrip])
	require.EqualValues(t, 2, row.Latency.Total())
	require.Positive(t, stats.Connections)
}

func TestStockHangUp(t *testing.T) {
	errs := make(chan error, 1)
	s, socket := start(t, withScript(func(_ *scripted, kong *pdk.PDK) {
		<-kong.Context().Done()
		errs <- context.Cause(kong.Context())
	}))
	k := newStockKong(t, socket)
	in := k.instance("scripted", `{}`)
	c := k.dial()
	_, err := c.Write(pack(nil, list{0, 1, "plugin.HandleEvent", list{table{"InstanceId": in, "EventName": "access"}}}))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return s.StockEvents() == 1 }, patience, time.Millisecond)
	require.NoError(t, c.Close())
	require.ErrorContains(t, <-errs, "the worker hung up")
	require.Zero(t, s.StockEvents())
}

func TestStockDrain(t *testing.T) {
	socket := socketPath(t)
	s, err := server.New(server.WithSocket(socket), server.WithGrace(patience), server.WithLogger(testLogger(t)),
		withScript(func(_ *scripted, kong *pdk.PDK) {
			if path, err := kong.Request.GetPath(); err != nil || path != "/p" {
				panic(fmt.Sprint(path, err))
			}
		}))
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx) }()
	require.Eventually(t, func() bool {
		a, err := shm.Dial(socket, shm.Hello{Kind: shm.HelloInspect, App: wire.Version}, patience)
		return err == nil && a.Close() == nil
	}, patience, time.Millisecond)
	k := newStockKong(t, socket)
	in := k.instance("scripted", `{}`)
	step := k.handle(in)
	stop()
	require.Eventually(t, func() bool {
		data, text := k.call("HandleEvent", table{"InstanceId": in, "EventName": "access"})
		if text == "" { // it began before the stop was heard of
			require.True(t, k.step(k.stepOf(data, text), "Step", "/p").ret)
		}
		return text == "the plugin server stops"
	}, patience, time.Millisecond)
	_, text := k.call("StartInstance", table{"Name": "scripted", "Config": "{}"})
	require.Equal(t, "the plugin server stops", text)
	require.True(t, k.step(step, "Step", "/p").ret, "the event under way ends in order")
	require.NoError(t, <-ended)
	require.Zero(t, s.Instances())
}

func TestStockClose(t *testing.T) {
	errs := make(chan error, 1)
	s, socket := start(t, withScript(func(_ *scripted, kong *pdk.PDK) {
		_, err := kong.Request.GetPath()
		errs <- err
	}))
	k := newStockKong(t, socket)
	k.handle(k.instance("scripted", `{}`))
	require.NoError(t, s.Close())
	err := <-errs
	require.ErrorIs(t, err, bridge.ErrOver)
	require.ErrorContains(t, err, "the plugin server stopped")
	_, err = (<-k.idle).Read(make([]byte, 1))
	require.True(t, errors.Is(err, io.EOF), "got %v", err)
	require.Zero(t, s.StockConns())
}

func TestStockWritesForget(t *testing.T) {
	_, socket := plain(t, withScript(func(_ *scripted, kong *pdk.PDK) {
		_, err := kong.Response.GetHeader("x")
		require.NoError(t, err)
		require.NoError(t, kong.Response.SetHeader("x", "new"))
		got, err := kong.Response.GetHeader("x")
		require.NoError(t, err)
		require.Equal(t, "new", got)
	}))
	k := newStockKong(t, socket)
	step := k.handle(k.instance("scripted", `{}`))
	for _, answer := range []interface{}{"old", nil, "new"} {
		require.False(t, step.ret)
		step = k.step(step, "Step", answer)
	}
	require.True(t, step.ret)
}

func TestStockStepsThatNobodyAskedFor(t *testing.T) {
	answered, release := make(chan struct{}), make(chan struct{})
	_, socket := start(t, withScript(func(_ *scripted, kong *pdk.PDK) {
		path, err := kong.Request.GetPath()
		require.NoError(t, err)
		require.Equal(t, "/right", path)
		close(answered)
		<-release
		host, err := kong.Request.GetHost()
		require.NoError(t, err)
		require.Equal(t, "host", host)
	}))
	k := newStockKong(t, socket)
	step := k.handle(k.instance("scripted", `{}`))
	next := make(chan stockStep)
	go func() { next <- k.step(step, "Step", "/right") }()
	<-answered
	for range 3 {
		_, text := k.call("Step", table{"EventId": step.event, "Data": "/wrong"})
		require.Equal(t, fmt.Sprintf("no running event %v", step.event), text)
	}
	close(release)
	require.True(t, k.step(<-next, "Step", "host").ret)
}

func TestStockInstanceThatNobodyHeardOf(t *testing.T) {
	made, release := make(chan struct{}, 2), make(chan struct{}, 1)
	release <- struct{}{} // the first config only tells the phases
	s, socket := start(t, server.WithPlugin("p", func() interface{} {
		made <- struct{}{}
		<-release
		return &scripted{}
	}, "0.1", 1))
	<-made
	c := newStockKong(t, socket).dial()
	_, err := c.Write(pack(nil, list{0, 1, "plugin.StartInstance", list{table{"Name": "p", "Config": "{}"}}}))
	require.NoError(t, err)
	<-made
	require.Equal(t, 1, s.Instances())
	require.NoError(t, c.Close())
	release <- struct{}{}
	require.Eventually(t, func() bool { return s.Instances() == 0 }, patience, time.Millisecond)
}

func init() { roles["stock"] = playStock }

// playStock starts an instance and gives an error when it may not.
func playStock(socket string) error {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return err
	}
	defer conn.Close()
	c := &stockConn{UnixConn: conn.(*net.UnixConn), in: msgp.NewReader(conn), server: os.Getppid()}
	if _, err := c.Write(pack(nil, list{0, 1, "plugin.StartInstance", list{table{"Name": "scripted", "Config": "{}"}}})); err != nil {
		return err
	}
	_, text, err := c.response(1)
	if text != "" {
		return errors.New(text)
	}
	return err
}

func TestStockPeerCredentials(t *testing.T) {
	needRoot(t)
	as := asStranger()
	for _, allowed := range []uint32{stranger - 1, stranger} {
		t.Run(fmt.Sprint(allowed), func(t *testing.T) {
			log := new(record)
			s, socket := start(t, withScript(func(*scripted, *pdk.PDK) {}), log.option(),
				server.WithSocketMode(0o666), server.WithUID(allowed))
			require.NoError(t, os.Chmod(filepath.Dir(socket), 0o755))
			out, err := play(t, "stock", socket, as)
			refused := log.lines(t, "connection refused")
			if allowed == stranger {
				require.NoError(t, err, "%s", out)
				require.Equal(t, 1, s.Instances())
				require.Empty(t, refused)
				return
			}
			require.Error(t, err)
			require.Zero(t, s.Instances())
			require.Len(t, refused, 1)
			require.Equal(t, "uid 65534 may not attach", refused[0]["reason"])
		})
	}
}
