package server_test

import (
	"fmt"
	"math"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tinylib/msgp/msgp"
)

// stockKong plays a Kong without the bridge: each request takes a connection
// from the pool, and no connection has more than one request.
type stockKong struct {
	t      testing.TB
	socket string
	idle   chan *stockConn
	id     atomic.Int64
	fresh  bool // no connection is used twice
}

type stockConn struct {
	*net.UnixConn
	in      *msgp.Reader
	greeted bool
	server  int // number of its process
}

type (
	table = map[string]interface{}
	list  = []interface{}
	// luaTable has keys of any type.
	luaTable = map[interface{}]interface{}
)

func newStockKong(t testing.TB, socket string) *stockKong {
	k := &stockKong{t: t, socket: socket, idle: make(chan *stockConn, 1000)}
	t.Cleanup(func() {
		for len(k.idle) > 0 {
			_ = (<-k.idle).Close()
		}
	})
	return k
}

func (k *stockKong) dial() *stockConn {
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: k.socket, Net: "unix"})
	require.NoError(k.t, err)
	require.NoError(k.t, conn.SetDeadline(time.Now().Add(patience)))
	return &stockConn{UnixConn: conn, in: msgp.NewReader(conn), server: os.Getpid()}
}

func (k *stockKong) conn() *stockConn {
	select {
	case c := <-k.idle:
		return c
	default:
		return k.dial()
	}
}

func (k *stockKong) keep(c *stockConn) {
	if k.fresh {
		_ = c.Close()
		return
	}
	k.idle <- c
}

// call gives the result of a method, or the text of its error.
func (k *stockKong) call(method string, arg interface{}) (interface{}, string) {
	k.t.Helper()
	c := k.conn()
	id := k.id.Add(1)
	_, err := c.Write(pack(nil, list{0, id, "plugin." + method, list{arg}}))
	require.NoError(k.t, err)
	result, text, err := c.response(id)
	require.NoError(k.t, err)
	k.keep(c)
	return result, text
}

// response reads up to the response with the id.
func (c *stockConn) response(id int64) (interface{}, string, error) {
	for {
		v, err := c.in.ReadIntf()
		if err != nil {
			return nil, "", err
		}
		message, ok := v.(list)
		switch {
		case !ok:
			return nil, "", fmt.Errorf("got %T", v)
		case len(message) == 3 && !c.greeted && message[0] == int64(2) && message[1] == "serverPid" &&
			message[2] == int64(c.server):
			c.greeted = true
		case len(message) != 4 || !c.greeted || message[0] != int64(1) || fmt.Sprint(message[1]) != fmt.Sprint(id):
			return nil, "", fmt.Errorf("got %v for request %d", message, id)
		case message[2] != nil:
			return message[3], message[2].(string), nil
		default:
			return message[3], "", nil
		}
	}
}

func (k *stockKong) instance(plugin, config string) interface{} {
	k.t.Helper()
	status, text := k.call("StartInstance", table{"Name": plugin, "Config": config})
	require.Empty(k.t, text)
	require.Equal(k.t, plugin, status.(table)["Name"])
	return status.(table)["Id"]
}

// stockStep is what the plugin server wants.
type stockStep struct {
	event  interface{}
	ret    bool
	method string
	args   list
}

func (k *stockKong) stepOf(data interface{}, text string) stockStep {
	k.t.Helper()
	require.Empty(k.t, text)
	s := stockStep{event: data.(table)["EventId"]}
	switch d := data.(table)["Data"].(type) {
	case string:
		require.Equal(k.t, "ret", d)
		s.ret = true
	case table:
		s.method, s.args = d["Method"].(string), d["Args"].(list)
	}
	return s
}

// handle begins an event in the access phase.
func (k *stockKong) handle(instance interface{}) stockStep {
	k.t.Helper()
	return k.stepOf(k.call("HandleEvent", table{"InstanceId": instance, "EventName": "access"}))
}

// step answers a call; nil data has no key, as in Lua.
func (k *stockKong) step(s stockStep, method string, data interface{}) stockStep {
	k.t.Helper()
	arg := table{"EventId": s.event}
	if data != nil {
		arg["Data"] = data
	}
	next := k.stepOf(k.call(method, arg))
	require.Equal(k.t, s.event, next.event)
	return next
}

// pack packs like Kong's Lua library: strings are never str8, an empty table is
// an array.
func pack(b []byte, v interface{}) []byte {
	switch v := v.(type) {
	case nil:
		return msgp.AppendNil(b)
	case bool:
		return msgp.AppendBool(b, v)
	case int:
		return packNumber(b, float64(v))
	case int64:
		return packNumber(b, float64(v))
	case uint64:
		return packNumber(b, float64(v))
	case float64:
		return packNumber(b, v)
	case string:
		if len(v) >= 32 && len(v) <= math.MaxUint8 {
			return append(append(b, 0xda, 0, byte(len(v))), v...)
		}
		return msgp.AppendString(b, v)
	case []byte:
		return msgp.AppendBytes(b, v)
	case list:
		b = msgp.AppendArrayHeader(b, uint32(len(v)))
		for _, e := range v {
			b = pack(b, e)
		}
		return b
	case table:
		t := luaTable{}
		for name, e := range v {
			t[name] = e
		}
		return pack(b, t)
	case luaTable:
		if len(v) == 0 {
			return msgp.AppendArrayHeader(b, 0)
		}
		b = msgp.AppendMapHeader(b, uint32(len(v)))
		for key, e := range v {
			b = pack(pack(b, key), e)
		}
		return b
	}
	panic(fmt.Sprintf("no Lua value: %T", v))
}

func packNumber(b []byte, n float64) []byte {
	switch {
	case n != math.Trunc(n):
		return msgp.AppendFloat64(b, n)
	case n >= 0:
		return msgp.AppendUint64(b, uint64(n))
	}
	return msgp.AppendInt64(b, int64(n))
}
