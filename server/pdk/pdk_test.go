package pdk_test

import (
	"context"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tinylib/msgp/msgp"

	"github.com/kongring/kongring/server/pdk"
	"github.com/kongring/kongring/server/pdk/bridge"
	"github.com/kongring/kongring/server/pdk/client"
	"github.com/kongring/kongring/server/pdk/entities"
	"github.com/kongring/kongring/server/wire"
)

// transport keeps what was sent and answers it.
type transport struct {
	answer []byte
	sent   []message
	ctx    context.Context
}

type message struct {
	method string
	exit   bool
	args   []interface{}
}

func (t *transport) take(c *bridge.Call, exit bool) {
	v, _, err := msgp.ReadIntfBytes(c.Args())
	if err != nil {
		panic(err)
	}
	t.sent = append(t.sent, message{c.Method().String(), exit, v.([]interface{})})
}

func (t *transport) Get(c *bridge.Call) error {
	t.take(c, false)
	c.SetResult(append([]byte(nil), t.answer...))
	return nil
}

func (t *transport) Exit(c *bridge.Call)       { t.take(c, true) }
func (t *transport) Context() context.Context  { return t.ctx }
func (t *transport) Post(c *bridge.Call) error { return t.Get(c) }
func (t *transport) LogLevel() int             { return 8 }

func open(tr *transport) (*bridge.Call, *pdk.PDK) {
	c := new(bridge.Call)
	c.Init(tr)
	kong := pdk.Make(c.Open())
	return c, &kong
}

type (
	list  = []interface{}
	table = map[string]interface{}
)

// encode gives v as a worker would send it.
func encode(t *testing.T, v interface{}) []byte {
	t.Helper()
	b, err := msgp.AppendIntf(nil, v)
	require.NoError(t, err)
	return b
}

type row struct {
	call   func(*pdk.PDK) (interface{}, error)
	method string
	args   list
	answer interface{} // nil where there is none to read
	want   interface{} // for answer
	zero   interface{} // for a nil
	wrong  interface{} // an answer of another type
	errs   string      // for wrong; "" where another type counts as nothing
}

// Shorthands for rows of the table.
func text(call func(*pdk.PDK) (string, error), method string, args ...interface{}) row {
	return row{func(k *pdk.PDK) (interface{}, error) { return call(k) }, method, args, "some", "some", "", 7, "expected type: string"}
}

func integer(call func(*pdk.PDK) (int, error), method string, args ...interface{}) row {
	return row{func(k *pdk.PDK) (interface{}, error) { return call(k) }, method, args, 8000.0, 8000, 0, "x", "expected type: number"}
}

func number(call func(*pdk.PDK) (float64, error), method string, args ...interface{}) row {
	return row{func(k *pdk.PDK) (interface{}, error) { return call(k) }, method, args, 1.25, 1.25, 0.0, "x", "expected type: number"}
}

func headers(call func(*pdk.PDK) (map[string][]string, error), method string, args ...interface{}) row {
	return row{func(k *pdk.PDK) (interface{}, error) { return call(k) }, method, args,
		table{"a": list{"b", "c"}}, map[string][]string{"a": {"b", "c"}}, map[string][]string{}, "x", "decode headers: "}
}

func nothing(call func(*pdk.PDK) error, method string, args ...interface{}) row {
	return row{func(k *pdk.PDK) (interface{}, error) { return nil, call(k) }, method, args, nil, nil, nil, nil, ""}
}

var rows = map[string][]row{
	"Client.GetCredential": {{func(k *pdk.PDK) (interface{}, error) { return k.Client.GetCredential() },
		"kong.client.get_credential", nil, table{"id": "i", "consumer_id": "c", "key": 1},
		client.AuthenticatedCredential{Id: "i", ConsumerId: "c"}, client.AuthenticatedCredential{}, list{}, "expected type: table"}},
	"Client.GetConsumer": {{func(k *pdk.PDK) (interface{}, error) { return k.Client.GetConsumer() },
		"kong.client.get_consumer", nil,
		table{"id": "i", "created_at": 1.7e9, "username": "u", "custom_id": "c", "tags": list{"a", "b"}},
		entities.Consumer{Id: "i", CreatedAt: 1.7e9, Username: "u", CustomId: "c", Tags: []string{"a", "b"}},
		entities.Consumer{}, "x", "expected type: table"}},
	"Client.GetIp":          {text(func(k *pdk.PDK) (string, error) { return k.Client.GetIp() }, "kong.client.get_ip")},
	"Client.GetForwardedIp": {text(func(k *pdk.PDK) (string, error) { return k.Client.GetForwardedIp() }, "kong.client.get_forwarded_ip")},
	"Client.GetPort":        {integer(func(k *pdk.PDK) (int, error) { return k.Client.GetPort() }, "kong.client.get_port")},
	"Client.GetForwardedPort": {integer(func(k *pdk.PDK) (int, error) { return k.Client.GetForwardedPort() },
		"kong.client.get_forwarded_port")},
	"Client.GetProtocol": {
		text(func(k *pdk.PDK) (string, error) { return k.Client.GetProtocol(true) }, "kong.client.get_protocol", true),
		text(func(k *pdk.PDK) (string, error) { return k.Client.GetProtocol(false) }, "kong.client.get_protocol", false),
	},

	"Ctx.SetShared": {
		nothing(func(k *pdk.PDK) error { return k.Ctx.SetShared("k", nil) }, "kong.ctx.shared.set", "k", nil),
		nothing(func(k *pdk.PDK) error { return k.Ctx.SetShared("k", []byte{0xff, 0}) }, "kong.ctx.shared.set", "k", "/wA="),
		nothing(func(k *pdk.PDK) error { return k.Ctx.SetShared("k", table{"a": list{true}}) },
			"kong.ctx.shared.set", "k", table{"a": list{true}}),
	},
	"Ctx.GetSharedAny": {{func(k *pdk.PDK) (interface{}, error) { return k.Ctx.GetSharedAny("k") },
		"kong.ctx.shared.get", list{"k"}, list{1, "a"}, list{1.0, "a"}, nil, nil, ""}},
	"Ctx.GetSharedString": {{func(k *pdk.PDK) (interface{}, error) { return k.Ctx.GetSharedString("k") },
		"kong.ctx.shared.get", list{"k"}, "v", "v", errorFor("expected type: string"), 7, "expected type: string"}},
	"Ctx.GetSharedFloat": {{func(k *pdk.PDK) (interface{}, error) { return k.Ctx.GetSharedFloat("k") },
		"kong.ctx.shared.get", list{"k"}, 7, 7.0, errorFor("expected type: number"), "x", "expected type: number"}},

	"Log.Alert":  {nothing(func(k *pdk.PDK) error { return k.Log.Alert("a", 1.5, nil) }, "kong.log.alert", "a", 1.5, nil)},
	"Log.Crit":   {nothing(func(k *pdk.PDK) error { return k.Log.Crit("a") }, "kong.log.crit", "a")},
	"Log.Err":    {nothing(func(k *pdk.PDK) error { return k.Log.Err("a") }, "kong.log.err", "a")},
	"Log.Warn":   {nothing(func(k *pdk.PDK) error { return k.Log.Warn("a") }, "kong.log.warn", "a")},
	"Log.Notice": {nothing(func(k *pdk.PDK) error { return k.Log.Notice([]byte("a")) }, "kong.log.notice", "YQ==")},
	"Log.Info":   {nothing(func(k *pdk.PDK) error { return k.Log.Info() }, "kong.log.info")},
	"Log.Debug":  {nothing(func(k *pdk.PDK) error { return k.Log.Debug(true, "b") }, "kong.log.debug", true, "b")},
	"Log.Serialize": {text(func(k *pdk.PDK) (string, error) { return k.Log.Serialize() },
		"kong.log.serialize")},

	"Nginx.GetVar": {text(func(k *pdk.PDK) (string, error) { return k.Nginx.GetVar("v") }, "kong.nginx.get_var", "v")},
	"Nginx.GetTLS1VersionStr": {text(func(k *pdk.PDK) (string, error) { return k.Nginx.GetTLS1VersionStr() },
		"kong.nginx.get_tls1_version_str")},
	"Nginx.GetCtxAny": {{func(k *pdk.PDK) (interface{}, error) { return k.Nginx.GetCtxAny("k") },
		"kong.nginx.get_ctx", list{"k"}, table{"a": 1}, table{"a": 1.0}, nil, nil, ""}},
	"Nginx.GetCtxString": {{func(k *pdk.PDK) (interface{}, error) { return k.Nginx.GetCtxString("k") },
		"kong.nginx.get_ctx", list{"k"}, "v", "v", "", 7, ""}},
	"Nginx.GetCtxFloat": {{func(k *pdk.PDK) (interface{}, error) { return k.Nginx.GetCtxFloat("k") },
		"kong.nginx.get_ctx", list{"k"}, 7.5, 7.5, 0.0, "x", ""}},
	"Nginx.GetCtxInt": {{func(k *pdk.PDK) (interface{}, error) { return k.Nginx.GetCtxInt("k") },
		"kong.nginx.get_ctx", list{"k"}, 7.5, 7, 0, "x", ""}},
	"Nginx.ReqStartTime": {number(func(k *pdk.PDK) (float64, error) { return k.Nginx.ReqStartTime() }, "kong.nginx.req_start_time")},
	"Nginx.GetSubsystem": {text(func(k *pdk.PDK) (string, error) { return k.Nginx.GetSubsystem() }, "kong.nginx.get_subsystem")},

	"Request.GetScheme": {text(func(k *pdk.PDK) (string, error) { return k.Request.GetScheme() }, "kong.request.get_scheme")},
	"Request.GetHost":   {text(func(k *pdk.PDK) (string, error) { return k.Request.GetHost() }, "kong.request.get_host")},
	"Request.GetPort":   {integer(func(k *pdk.PDK) (int, error) { return k.Request.GetPort() }, "kong.request.get_port")},
	"Request.GetForwardedScheme": {text(func(k *pdk.PDK) (string, error) { return k.Request.GetForwardedScheme() },
		"kong.request.get_forwarded_scheme")},
	"Request.GetForwardedHost": {text(func(k *pdk.PDK) (string, error) { return k.Request.GetForwardedHost() },
		"kong.request.get_forwarded_host")},
	"Request.GetForwardedPort": {integer(func(k *pdk.PDK) (int, error) { return k.Request.GetForwardedPort() },
		"kong.request.get_forwarded_port")},
	"Request.GetHttpVersion": {number(func(k *pdk.PDK) (float64, error) { return k.Request.GetHttpVersion() },
		"kong.request.get_http_version")},
	"Request.GetMethod": {text(func(k *pdk.PDK) (string, error) { return k.Request.GetMethod() }, "kong.request.get_method")},
	"Request.GetPath":   {text(func(k *pdk.PDK) (string, error) { return k.Request.GetPath() }, "kong.request.get_path")},
	"Request.GetPathWithQuery": {text(func(k *pdk.PDK) (string, error) { return k.Request.GetPathWithQuery() },
		"kong.request.get_path_with_query")},
	"Request.GetRawQuery": {text(func(k *pdk.PDK) (string, error) { return k.Request.GetRawQuery() }, "kong.request.get_raw_query")},
	"Request.GetQueryArg": {text(func(k *pdk.PDK) (string, error) { return k.Request.GetQueryArg("q\xff") },
		"kong.request.get_query_arg", "q\xff")},
	"Request.GetQuery": {
		headers(func(k *pdk.PDK) (map[string][]string, error) { return k.Request.GetQuery(-1) }, "kong.request.get_query", 100),
		headers(func(k *pdk.PDK) (map[string][]string, error) { return k.Request.GetQuery(1000) }, "kong.request.get_query", 1000),
	},
	"Request.GetHeader": {text(func(k *pdk.PDK) (string, error) { return k.Request.GetHeader("h") }, "kong.request.get_header", "h")},
	"Request.GetHeaders": {
		headers(func(k *pdk.PDK) (map[string][]string, error) { return k.Request.GetHeaders(-1) }, "kong.request.get_headers", 100),
		headers(func(k *pdk.PDK) (map[string][]string, error) { return k.Request.GetHeaders(5) }, "kong.request.get_headers", 5),
	},
	"Request.GetRawBody": {{func(k *pdk.PDK) (interface{}, error) { return k.Request.GetRawBody() },
		"kong.request.get_raw_body", nil, list{0, []byte("body")}, []byte("body"), errorFor("expected type: body"), "x", "expected type: body"}},
	"Request.GetUriCaptures": {{func(k *pdk.PDK) (interface{}, error) {
		unnamed, named, err := k.Request.GetUriCaptures()
		return list{unnamed, named}, err
	}, "kong.request.get_uri_captures", nil, list{list{"x"}, table{"n": "y"}},
		list{[][]byte{[]byte("x")}, map[string][]byte{"n": []byte("y")}},
		list{[][]byte(nil), map[string][]byte(nil)}, "x", "expected type: captures"}},

	"Response.GetStatus": {integer(func(k *pdk.PDK) (int, error) { return k.Response.GetStatus() }, "kong.response.get_status")},
	"Response.GetHeader": {text(func(k *pdk.PDK) (string, error) { return k.Response.GetHeader("h") }, "kong.response.get_header", "h")},
	"Response.GetHeaders": {
		headers(func(k *pdk.PDK) (map[string][]string, error) { return k.Response.GetHeaders(-1) }, "kong.response.get_headers", 100),
		headers(func(k *pdk.PDK) (map[string][]string, error) { return k.Response.GetHeaders(0) }, "kong.response.get_headers", 0),
	},
	"Response.GetSource": {text(func(k *pdk.PDK) (string, error) { return k.Response.GetSource() }, "kong.response.get_source")},
	"Response.SetStatus": {nothing(func(k *pdk.PDK) error { return k.Response.SetStatus(404) }, "kong.response.set_status", 404)},
	"Response.SetHeader": {nothing(func(k *pdk.PDK) error { return k.Response.SetHeader("h", "v") },
		"kong.response.set_header", "h", "v")},
	"Response.AddHeader": {nothing(func(k *pdk.PDK) error { return k.Response.AddHeader("h", "v") },
		"kong.response.add_header", "h", "v")},
	"Response.ClearHeader": {nothing(func(k *pdk.PDK) error { return k.Response.ClearHeader("h") }, "kong.response.clear_header", "h")},
	"Response.SetHeaders": {
		nothing(func(k *pdk.PDK) error { return k.Response.SetHeaders(map[string][]string{"h": {"v", "w"}}) },
			"kong.response.set_headers", table{"h": list{"v", "w"}}),
		nothing(func(k *pdk.PDK) error { return k.Response.SetHeaders(nil) }, "kong.response.set_headers", table{}),
	},
	"Response.Exit": {
		nothing(func(k *pdk.PDK) error { k.Response.Exit(403, []byte("no"), nil); return nil }, "kong.response.exit", 403, []byte("no")),
		nothing(func(k *pdk.PDK) error {
			k.Response.Exit(200, nil, map[string][]string{"h": {"v"}})
			return nil
		}, "kong.response.exit", 200, []byte(nil), table{"h": list{"v"}}),
	},
	"Response.ExitStatus": {nothing(func(k *pdk.PDK) error { k.Response.ExitStatus(204); return nil }, "kong.response.exit", 204)},

	"ServiceRequest.SetHeader": {nothing(func(k *pdk.PDK) error { return k.ServiceRequest.SetHeader("h", "v") },
		"kong.service.request.set_header", "h", "v")},
	"ServiceRequest.AddHeader": {nothing(func(k *pdk.PDK) error { return k.ServiceRequest.AddHeader("h", "v") },
		"kong.service.request.add_header", "h", "v")},
	"ServiceRequest.ClearHeader": {nothing(func(k *pdk.PDK) error { return k.ServiceRequest.ClearHeader("h") },
		"kong.service.request.clear_header", "h")},
	"ServiceRequest.SetHeaders": {nothing(func(k *pdk.PDK) error {
		return k.ServiceRequest.SetHeaders(map[string][]string{"h": {}})
	}, "kong.service.request.set_headers", table{"h": list{}})},
}

// errorFor in the place of a result says that there is none but an error.
type errorFor string

// methods are the exported methods of the PDK's values, less what all of them
// have from their bridge.
func methods() (names []string) {
	shared := reflect.TypeOf(bridge.PdkBridge{})
	kong := reflect.TypeOf(pdk.PDK{})
	for i := range kong.NumField() {
		f := kong.Field(i)
		if !f.IsExported() {
			continue
		}
		for j := range f.Type.NumMethod() {
			if _, promoted := shared.MethodByName(f.Type.Method(j).Name); !promoted {
				names = append(names, f.Name+"."+f.Type.Method(j).Name)
			}
		}
	}
	return names
}

func TestEveryMethod(t *testing.T) {
	called := map[string]bool{}
	names := methods()
	require.Len(t, rows, len(names))
	for _, name := range names {
		require.NotEmpty(t, rows[name], name)
		for _, r := range rows[name] {
			called[r.method] = true
			t.Run(name, func(t *testing.T) { r.run(t) })
		}
	}
	for _, m := range wire.Methods[1:] {
		require.True(t, called[m.Name], "nobody calls %s", m.Name)
	}
}

func (r row) run(t *testing.T) {
	ask := func(answer interface{}) (interface{}, error) {
		tr := &transport{answer: encode(t, answer)}
		_, kong := open(tr)
		got, err := r.call(kong)
		require.Len(t, tr.sent, 1)
		require.Equal(t, r.method, tr.sent[0].method)
		require.Equal(t, strings.Contains(t.Name(), "Response.Exit"), tr.sent[0].exit)
		want := append(list{}, r.args...)
		for i, a := range want {
			if n, ok := a.(int); ok {
				want[i] = int64(n)
			}
		}
		require.Equal(t, want, tr.sent[0].args)
		return got, err
	}
	got, err := ask(r.answer)
	if r.answer != nil {
		require.NoError(t, err)
		require.Equal(t, r.want, got)
	}
	got, err = ask(nil)
	if says, ok := r.zero.(errorFor); ok {
		require.ErrorContains(t, err, string(says))
	} else {
		require.NoError(t, err)
		require.Equal(t, r.zero, got)
	}
	if r.wrong != nil {
		got, err = ask(r.wrong)
		if r.errs != "" {
			require.ErrorContains(t, err, r.errs)
		} else {
			require.NoError(t, err)
			require.Equal(t, r.zero, got)
		}
	}

	// After the event's end nothing is sent, also when the Call goes on to
	// another event.
	tr := &transport{answer: []byte{0xc0}}
	c, kong := open(tr)
	c.Close()
	for range 2 {
		_, err = r.call(kong)
		if !strings.Contains(t.Name(), "Response.Exit") {
			require.ErrorIs(t, err, bridge.ErrOver)
		}
		require.Empty(t, tr.sent)
		c.Open()
	}
}

func TestInvalidTypesAreNotSent(t *testing.T) {
	tr := &transport{answer: []byte{0xc0}}
	_, kong := open(tr)
	type own struct{}
	require.EqualError(t, kong.Ctx.SetShared("k", own{}), "invalid type: pdk_test.own")
	require.EqualError(t, kong.Ctx.SetShared("k", []string{"a"}), "invalid type: []string")
	for _, line := range []func(...interface{}) error{
		kong.Log.Alert, kong.Log.Crit, kong.Log.Err, kong.Log.Warn, kong.Log.Notice, kong.Log.Info, kong.Log.Debug,
	} {
		require.EqualError(t, line("a", make(chan int), own{}), "invalid type: chan int")
	}
	require.Empty(t, tr.sent)
	require.NoError(t, kong.Log.Info("a"))
	require.Len(t, tr.sent, 1)
}

func TestContext(t *testing.T) {
	tr := &transport{ctx: t.Context()}
	c, kong := open(tr)
	require.Same(t, tr.ctx, kong.Context())
	c.Close()
	require.ErrorIs(t, context.Cause(kong.Context()), bridge.ErrOver)
}

// Plugins copy the values and pass them to interfaces.
func TestValuesMayBeCopied(t *testing.T) {
	tr := &transport{answer: encode(t, "v")}
	c, kong := open(tr)
	request := kong.Request
	var asks interface{ GetHeader(string) (string, error) } = request
	got, err := asks.GetHeader("h")
	require.NoError(t, err)
	require.Equal(t, "v", got)
	c.Close()
	c.Open()
	_, err = asks.GetHeader("h")
	require.ErrorIs(t, err, bridge.ErrOver)
	require.Len(t, tr.sent, 1)
}
