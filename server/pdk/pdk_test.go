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
	"github.com/kongring/kongring/server/pdk/log"
	"github.com/kongring/kongring/server/wire"
)

// transport keeps what was sent and answers it.
type transport struct {
	answer []byte
	level  int // 0 for all
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

func (t *transport) LogLevel() int {
	if t.level != 0 {
		return t.level
	}
	return int(log.LevelDebug)
}

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

// errorFor in the place of a result says that there is none but an error.
type errorFor string

// methods are the exported methods of the PDK's values, less what all of them
// have from their bridge.
func methods() (names []string) {
	kong := reflect.TypeOf(pdk.PDK{})
	for i := range kong.NumField() {
		f := kong.Field(i)
		if !f.IsExported() {
			continue
		}
		names = append(names, methodsOf(f.Name, f.Type)...)
	}
	return names
}

// asksNobody is the one method that is no call.
const asksNobody = "Log.Enabled"

func TestLogEnabled(t *testing.T) {
	tr := &transport{level: 6}
	c, kong := open(tr)
	require.True(t, kong.Log.Enabled(log.LevelEmerg))
	require.True(t, kong.Log.Enabled(log.LevelNotice))
	require.False(t, kong.Log.Enabled(log.LevelInfo))
	require.NoError(t, kong.Log.Info("a"))
	require.Empty(t, tr.sent)
	c.Close()
	require.False(t, kong.Log.Enabled(log.LevelEmerg))
}

// A header of the request to the service gets its values one by one: Kong has no
// list for it.
func TestAddHeaderValues(t *testing.T) {
	tr := &transport{answer: []byte{0xc0}}
	_, kong := open(tr)
	require.NoError(t, kong.ServiceRequest.AddHeaderValues("h", "v", "w"))
	const method = "kong.service.request.add_header"
	require.Equal(t, []message{{method, false, list{"h", "v"}}, {method, false, list{"h", "w"}}}, tr.sent)
}

// methodsOf names the methods of a value of the PDK, and of values that a method
// leads to.
func methodsOf(name string, value reflect.Type) (names []string) {
	shared := reflect.TypeOf(bridge.PdkBridge{})
	for i := range value.NumMethod() {
		m := value.Method(i)
		if _, promoted := shared.MethodByName(m.Name); promoted {
			continue
		}
		if name+"."+m.Name == asksNobody {
			continue
		}
		if m.Type == reflect.TypeOf(client.Client.TLS) {
			names = append(names, methodsOf(name+"."+m.Name, m.Type.Out(0))...)
		} else {
			names = append(names, name+"."+m.Name)
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
	require.ElementsMatch(t, names, named(), "methods of the PDK, and those in wire.Methods")
}

// named are the methods of the PDK that the table of methods names.
func named() (names []string) {
	for _, m := range wire.Methods[1:] {
		dot := strings.LastIndex(m.Go[:strings.Index(m.Go+",", ",")], ".") + 1
		for name := range strings.SplitSeq(m.Go[dot:], ", ") {
			names = append(names, m.Go[:dot]+name)
		}
	}
	return names
}

func (r row) run(t *testing.T) {
	ask := func(answer interface{}) (interface{}, error) {
		tr := &transport{answer: encode(t, answer)}
		_, kong := open(tr)
		got, err := r.call(kong)
		require.Len(t, tr.sent, 1)
		require.Equal(t, r.method, tr.sent[0].method)
		require.Equal(t, endsEvent(r.method), tr.sent[0].exit)
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
		if !endsEvent(r.method) {
			require.ErrorIs(t, err, bridge.ErrOver)
		}
		require.Empty(t, tr.sent)
		c.Open()
	}
}

func endsEvent(method string) bool {
	return method == "kong.response.exit" || method == "kong.response.error"
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

func TestAskByName(t *testing.T) {
	tr := &transport{answer: encode(t, "v")}
	_, kong := open(tr)
	got, err := kong.Ctx.AskString("kong.request.get_header", "h")
	require.NoError(t, err)
	require.Equal(t, "v", got)
	_, err = kong.Ctx.AskInt("kong.request.get_port")
	require.EqualError(t, err, "expected type: number")
	tr.answer = encode(t, 7.5)
	n, err := kong.Log.AskNumber("kong.nginx.req_start_time")
	require.NoError(t, err)
	require.Equal(t, 7.5, n)
	i, err := kong.Log.AskInt("kong.nginx.req_start_time")
	require.NoError(t, err)
	require.Equal(t, 7, i)
	_, err = kong.Ctx.AskString("kong.request.get_path")
	require.EqualError(t, err, "expected type: string")
	v, err := kong.Request.AskValue("kong.ctx.shared.set", "k", list{true})
	require.NoError(t, err)
	require.Nil(t, v)
	require.Equal(t, message{"kong.ctx.shared.set", false, list{"k", list{true}}}, tr.sent[len(tr.sent)-1])
	sent := len(tr.sent)
	_, err = kong.Request.AskValue("kong.response.exit", 200)
	require.ErrorContains(t, err, "ends the event")
	_, err = kong.Request.AskValue("kong.no.such_method")
	require.EqualError(t, err, "kong.no.such_method: no such method")
	_, err = kong.Request.AskValue("kong.ctx.shared.set", "k", []string{"v"})
	require.EqualError(t, err, "invalid type: []string")
	require.Len(t, tr.sent, sent)
	_, err = kong.Request.AskValue("kong.request.get_path") // the lock is free
	require.NoError(t, err)
}
