package bridge_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tinylib/msgp/msgp"

	"github.com/kongring/kongring/server/pdk/bridge"
	"github.com/kongring/kongring/server/wire"
)

// transport answers every call with the same body.
type transport struct {
	answer []byte
	err    error
	sent   [][]byte // bodies of the messages
	exits  int
	ctx    context.Context
}

func (t *transport) Get(c *bridge.Call) error {
	t.sent = append(t.sent, append([]byte(nil), c.Args()...))
	c.SetResult(append([]byte(nil), t.answer...))
	return t.err
}

func (t *transport) Exit(c *bridge.Call) {
	t.exits++
	t.sent = append(t.sent, append([]byte(nil), c.Args()...))
}

func (t *transport) Context() context.Context  { return t.ctx }
func (t *transport) Post(c *bridge.Call) error { return t.Get(c) }
func (t *transport) LogLevel() int             { return 8 }

func open(tr *transport) (*bridge.Call, bridge.PdkBridge) {
	c := new(bridge.Call)
	c.Init(tr)
	return c, c.Open()
}

// results are the ways to end a call, by name.
var results = map[string]func(*bridge.Call) (interface{}, error){
	"ToString":  func(c *bridge.Call) (interface{}, error) { return c.ToString() },
	"ToInt":     func(c *bridge.Call) (interface{}, error) { return c.ToInt() },
	"ToNumber":  func(c *bridge.Call) (interface{}, error) { return c.ToNumber() },
	"ToBool":    func(c *bridge.Call) (interface{}, error) { return c.ToBool() },
	"ToValue":   func(c *bridge.Call) (interface{}, error) { return c.ToValue() },
	"ToHeaders": func(c *bridge.Call) (interface{}, error) { return c.ToHeaders() },
	"ToBody":    func(c *bridge.Call) (interface{}, error) { return c.ToBody() },
	"ToTable":   func(c *bridge.Call) (interface{}, error) { return c.ToTable() },
	"ToCaptures": func(c *bridge.Call) (interface{}, error) {
		unnamed, named, err := c.ToCaptures()
		return []interface{}{unnamed, named}, err
	},
	"ToBytes": func(c *bridge.Call) (interface{}, error) { return c.ToBytes() },
	"ToParsed": func(c *bridge.Call) (interface{}, error) {
		body, mimetype, err := c.ToParsed()
		return []interface{}{body, mimetype}, err
	},
	"Checked": func(c *bridge.Call) (interface{}, error) { return nil, c.Checked() },
	"Done":    func(c *bridge.Call) (interface{}, error) { return nil, c.Done() },
}

func TestResults(t *testing.T) {
	text := strings.Repeat("t", 300)
	str, bin := msgp.AppendString(nil, text), msgp.AppendBytes(nil, []byte(text))
	null := []byte{0xc0}
	pair := func(kind int, text string) []byte {
		return msgp.AppendString(msgp.AppendInt([]byte{0x92}, kind), text)
	}
	type value = interface{}
	type list = []interface{}
	type table = map[string]interface{}
	for _, tc := range []struct {
		how    string
		answer []byte
		want   value
		err    string
	}{
		{"ToString", str, text, ""},
		{"ToString", bin, text, ""},
		{"ToString", null, "", ""},
		{"ToString", msgp.AppendInt(nil, 1), "", "expected type: string"},
		{"ToString", []byte{0xc3}, "", "expected type: string"},
		{"ToString", nil, "", "expected type: string"},
		{"ToInt", msgp.AppendInt(nil, -12), -12, ""},
		{"ToInt", msgp.AppendFloat64(nil, 12.9), 12, ""},
		{"ToInt", msgp.AppendFloat32(nil, 3), 3, ""},
		{"ToInt", msgp.AppendUint64(nil, 8000), 8000, ""},
		{"ToInt", null, 0, ""},
		{"ToInt", str, 0, "expected type: number"},
		{"ToNumber", msgp.AppendFloat64(nil, 1.5), 1.5, ""},
		{"ToNumber", msgp.AppendFloat64(nil, math.Inf(1)), math.Inf(1), ""},
		{"ToNumber", null, 0.0, ""},
		{"ToNumber", []byte{0xc2}, 0.0, "expected type: number"},
		{"ToBool", []byte{0xc3}, true, ""},
		{"ToBool", []byte{0xc2}, false, ""},
		{"ToBool", null, false, ""},
		{"ToBool", str, false, "expected type: boolean"},
		{"ToValue", null, nil, ""},
		{"ToValue", []byte{0x93, 1, 0xa1, 'x', 0xc3}, list{1.0, "x", true}, ""},
		{"ToValue", []byte{0x82, 0xa1, 'x', 0x80, 5, 0x90}, table{"x": table{}, "5": list{}}, ""},
		{"ToValue", []byte{0xd4, 1, 0}, nil, "no value that Lua has"},
		{"ToValue", []byte{0xc1}, nil, "no value that Lua has"},
		{"ToValue", append([]byte(strings.Repeat("\x91", 32)), 0xc0), nest(32), ""},
		{"ToValue", append([]byte(strings.Repeat("\x91", 33)), 0xc0), nil, "nested deeper than 32"},
		{"ToHeaders", null, map[string][]string{}, ""},
		{"ToHeaders", []byte{0x81, 0xa1, 'a', 0x92, 0xa1, 'b', 0xa0}, map[string][]string{"a": {"b", ""}}, ""},
		{"ToHeaders", []byte{0x81, 0xa1, 'a', 0xa1, 'b'}, map[string][]string(nil), "decode headers: "},
		{"ToHeaders", []byte{0x81, 0xa1, 'a', 0xdd, 0xff, 0xff, 0xff, 0xff, 0xa0}, map[string][]string(nil), "4294967295 elements in 1 bytes"},
		{"ToHeaders", str, map[string][]string(nil), "decode headers: "},
		{"ToBody", pair(0, text), []byte(text), ""},
		{"ToBody", append([]byte{0x92, 0}, bin...), []byte(text), ""},
		{"ToBody", pair(0, ""), []byte{}, ""},
		{"ToBody", pair(2, "too big"), []byte(nil), "too big"},
		{"ToBody", pair(3, text), []byte(nil), "decode body: kind 3"},
		{"ToBody", []byte{0x92, 0, 7}, []byte(nil), "decode body: expected type: string"},
		{"ToBody", []byte{0x92, 0xa0, 0xa0}, []byte(nil), "decode body: "},
		{"ToBody", []byte{0x91, 0}, []byte(nil), "expected type: body"},
		{"ToBody", str, []byte(nil), "expected type: body"},
		{"ToCaptures", null, list{[][]byte(nil), map[string][]byte(nil)}, ""},
		{"ToCaptures", []byte{0x92, 0x91, 0xa1, 'x', 0x81, 0xa1, 'n', 0xa1, 'y'},
			list{[][]byte{[]byte("x")}, map[string][]byte{"n": []byte("y")}}, ""},
		{"ToCaptures", []byte{0x92, 0x92, 0xc0, 1, 0x81, 0xa1, 'n', 2},
			list{[][]byte{{}, {}}, map[string][]byte{"n": {}}}, ""},
		{"ToCaptures", []byte{0x92, 0x90, 0x80}, list{[][]byte(nil), map[string][]byte(nil)}, ""},
		{"ToCaptures", []byte{0x91, 0xc0}, list{[][]byte(nil), map[string][]byte(nil)}, "expected type: captures"},
		{"ToTable", null, bridge.Table(nil), ""},
		{"ToTable", []byte{0x81, 0xa1, 'a', 1}, bridge.Table{"a": 1.0}, ""},
		{"ToTable", []byte{0x90}, bridge.Table(nil), "expected type: table"},
		{"ToBytes", null, []byte(nil), ""},
		{"ToBytes", str, []byte(text), ""},
		{"ToBytes", bin, []byte(text), ""},
		{"ToBytes", []byte{7}, []byte(nil), "expected type: string"},
		{"ToParsed", null, list{nil, ""}, ""},
		{"ToParsed", []byte{0x92, 0x81, 0xa1, 'a', 1, 0xa1, 'm'}, list{table{"a": 1.0}, "m"}, ""},
		{"ToParsed", []byte{0x92, 0xc3, 0xc0}, list{true, ""}, ""},
		{"ToParsed", []byte{0x91, 0xc3}, list{nil, ""}, "expected type: parsed body"},
		{"ToParsed", str, list{nil, ""}, "expected type: parsed body"},
		{"Checked", []byte{0xc3}, nil, ""},
		{"Checked", null, nil, ""},
		{"Done", []byte{0xc1}, nil, ""},
	} {
		t.Run(fmt.Sprintf("%s of %.20x", tc.how, tc.answer), func(t *testing.T) {
			_, b := open(&transport{answer: tc.answer})
			got, err := results[tc.how](b.Ask(wire.LogInfo))
			require.Equal(t, tc.want, got)
			if tc.err == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, tc.err)
			}
		})
	}
}

// nest gives nil in so many lists.
func nest(depth int) (v interface{}) {
	for range depth {
		v = []interface{}{v}
	}
	return v
}

func TestResultsOfFailedCalls(t *testing.T) {
	failed := errors.New("no answer")
	for name, end := range results {
		c, b := open(&transport{answer: []byte{0xc0}, err: failed})
		_, err := end(b.Ask(wire.LogInfo))
		require.ErrorIs(t, err, failed, name)
		c.Close()
		_, err = end(b.Ask(wire.LogInfo))
		require.ErrorIs(t, err, bridge.ErrOver, name)
	}
}

func TestSpooledBody(t *testing.T) {
	dir := t.TempDir()
	answer := func(path string) *transport {
		return &transport{answer: msgp.AppendString([]byte{0x92, 1}, path)}
	}
	want := []byte(strings.Repeat("0123456789", 10000))
	file := filepath.Join(dir, "body")
	require.NoError(t, os.WriteFile(file, want, 0o600))
	_, b := open(answer(file))
	got, err := b.Ask(wire.RequestGetRawBody).ToBody()
	require.NoError(t, err)
	require.Equal(t, want, got)

	for _, uid := range []uint32{uint32(os.Getuid()), uint32(os.Getuid()) + 1} {
		c, b := open(answer(file))
		c.SpooledBy(uid)
		got, err := b.Ask(wire.RequestGetRawBody).ToBody()
		if uid == uint32(os.Getuid()) {
			require.NoError(t, err)
			require.Equal(t, want, got)
			continue
		}
		require.ErrorIs(t, err, fs.ErrPermission)
		require.ErrorContains(t, err, "and not of the worker's")
		require.Nil(t, got)
	}

	fifo := filepath.Join(dir, "fifo")
	require.NoError(t, syscall.Mkfifo(fifo, 0o600))
	for path, says := range map[string]string{
		filepath.Join(dir, "none"): "no such file",
		"":                         "no such file",
		dir:                        "is not a regular file",
		"/dev/zero":                "is not a regular file",
		fifo:                       "is not a regular file",
	} {
		_, b := open(answer(path))
		got, err := b.Ask(wire.RequestGetRawBody).ToBody()
		require.ErrorContains(t, err, says, path)
		require.Nil(t, got)
	}
}

func TestTable(t *testing.T) {
	table := bridge.Table{
		"text": "x", "number": 7.9, "list": []interface{}{"a", 1.0, "b"},
		"sub": map[string]interface{}{"text": "y"},
	}
	for _, m := range []bridge.Table{table, nil} {
		require.Empty(t, m.Text("number"))
		require.Zero(t, m.Number("text"))
		require.Nil(t, m.List("text"))
		require.Nil(t, m.Sub("text"))
		require.Nil(t, m.Sub("none").Sub("none"))
	}
	require.Equal(t, "x", table.Text("text"))
	require.Equal(t, 7, table.Number("number"))
	require.Equal(t, []string{"a", "b"}, table.List("list"))
	require.Equal(t, "y", table.Sub("sub").Text("text"))
}

func TestArguments(t *testing.T) {
	tr := &transport{answer: []byte{0xc0}}
	_, b := open(tr)
	values := []interface{}{
		nil, true, 1, int8(-2), int16(-300), int32(4), int64(-5), uint(6), uint8(7), uint16(8), uint32(9),
		uint64(1 << 63), float32(0.5), 2.5, "s\xff", []byte{0xff, 0}, []interface{}{"a", nil},
		map[string]interface{}{"k": []interface{}{false}},
	}
	c := b.Ask(wire.LogInfo).String("str\x00").Bytes([]byte{1}).Int(-70000).Limit(-1).Limit(0).Bool(true).Nil().
		Headers(map[string][]string{"h": {"1", "2"}})
	for _, v := range values {
		c.Value(v)
	}
	require.NoError(t, c.Done())
	require.Len(t, tr.sent, 1)
	require.EqualValues(t, 0xdc, tr.sent[0][0])
	got, rest, err := msgp.ReadIntfBytes(tr.sent[0])
	require.NoError(t, err)
	require.Empty(t, rest)
	require.Equal(t, []interface{}{
		"str\x00", []byte{1}, int64(-70000), int64(100), int64(0), true, nil,
		map[string]interface{}{"h": []interface{}{"1", "2"}},
		nil, true, int64(1), int64(-2), int64(-300), int64(4), int64(-5), int64(6), int64(7), int64(8), int64(9),
		uint64(1 << 63), 0.5, 2.5, "s\xff", "/wA=", []interface{}{"a", nil},
		map[string]interface{}{"k": []interface{}{false}},
	}, normal(got))
}

// normal makes the integers that fit int64s, as the encoder chooses either.
func normal(v interface{}) interface{} {
	if list, ok := v.([]interface{}); ok {
		for i := range list {
			list[i] = normal(list[i])
		}
	}
	if n, ok := v.(uint64); ok && n <= math.MaxInt64 {
		return int64(n)
	}
	return v
}

func TestArgumentsThatHaveNoPlace(t *testing.T) {
	deep := interface{}("x")
	for range 33 {
		deep = []interface{}{deep}
	}
	for says, v := range map[string]interface{}{
		"invalid type: struct {}":      struct{}{},
		"invalid type: chan int":       make(chan int),
		"invalid type: []string":       []string{"a"},
		"invalid type: *int":           new(int),
		"invalid type: complex128":     []interface{}{1i},
		"invalid type: func()":         map[string]interface{}{"f": func() {}},
		"value nested deeper than 32":  deep,
		"invalid type: map[int]string": map[int]string{},
	} {
		tr := new(transport)
		_, b := open(tr)
		require.EqualError(t, b.Ask(wire.LogInfo).Value(1).Value(v).Value("after").Done(), says)
		b.Ask(wire.LogInfo).Value(v).Exit()
		require.Empty(t, tr.sent)
		require.NoError(t, b.Ask(wire.LogInfo).Value(1).Done(), "the next call is a new one")
	}
	tr := new(transport)
	_, b := open(tr)
	c := b.Ask(wire.LogInfo)
	for range bridge.MaxArguments {
		c.Value(nil)
	}
	require.NoError(t, c.Done())
	require.Equal(t, []byte{0xdc, 0xff, 0xff}, tr.sent[0][:3])
	c = b.Ask(wire.LogInfo)
	for range bridge.MaxArguments + 1 {
		c.Value(nil)
	}
	require.EqualError(t, c.Done(), "65536 arguments: the limit is 65535")
	require.Len(t, tr.sent, 1)
}

// A bridge belongs to one event. The Call goes on to others.
func TestStaleBridge(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	tr := &transport{answer: []byte{0xc0}, ctx: ctx}
	c, first := open(tr)
	require.NoError(t, first.Ask(wire.LogInfo).Done())
	require.NoError(t, bridge.ContextOf(first).Err())
	c.Close()
	require.ErrorIs(t, first.Ask(wire.LogInfo).Done(), bridge.ErrOver)
	require.ErrorIs(t, context.Cause(bridge.ContextOf(first)), bridge.ErrOver)

	second := c.Open()
	require.ErrorIs(t, first.Ask(wire.LogInfo).Value(struct{}{}).Done(), bridge.ErrOver)
	first.Ask(wire.ResponseExit).Int(200).Exit()
	require.Error(t, bridge.ContextOf(first).Err())
	require.Len(t, tr.sent, 1)
	require.Zero(t, tr.exits)
	require.NoError(t, second.Ask(wire.LogInfo).Done())
	second.Ask(wire.ResponseExit).Int(200).Exit()
	require.Equal(t, 1, tr.exits)
	require.Same(t, ctx, bridge.ContextOf(second))
}

// A length is believed only as far as there are bytes behind it, at each depth
// anew.
func TestNestedLengthsAllocateLittle(t *testing.T) {
	const size = 1 << 20
	for name, header := range map[string]byte{"arrays": 0xdd, "maps": 0xdf} {
		t.Run(name, func(t *testing.T) {
			var b []byte
			for range 32 {
				b = binary.BigEndian.AppendUint32(append(b, header), size/2)
				if header == 0xdf {
					b = append(b, 0xa0)
				}
			}
			b = append(b, make([]byte, size)...)
			b = append(b[:len(b)-1], 0xc1)
			_, c := open(&transport{answer: b})
			require.Less(t, allocated(func() {
				_, err := c.Ask(wire.CtxSharedGet).ToValue()
				require.Error(t, err)
			}), uint64(200*size))
		})
	}
}

func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// FuzzResult gives each way to read a result any bytes: no panic, and no
// allocation out of proportion to them.
func FuzzResult(f *testing.F) {
	f.Add([]byte{0xc0})
	f.Add([]byte{0x81, 0xa1, 'a', 0x92, 0xa1, 'b', 0xa0})
	f.Add([]byte{0x92, 0, 0xc4, 1, 'x'})
	f.Add([]byte{0x92, 1, 0xa4, 'n', 'o', 'n', 'e'})
	f.Add([]byte{0x92, 0x91, 0xa1, 'x', 0x81, 0xa1, 'n', 0xa1, 'y'})
	f.Add([]byte{0xdd, 0, 0, 0, 5, 0xdf, 0, 0, 0, 1, 0xa1, 'k', 0xcb, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{0xc7, 3, 5, 1, 2, 3})
	f.Fuzz(func(t *testing.T, answer []byte) {
		if len(answer) > 1<<16 {
			t.Skip("longer than it takes")
		}
		_, b := open(&transport{answer: answer})
		for name, end := range results {
			n := allocated(func() { _, _ = end(b.Ask(wire.CtxSharedGet)) })
			require.LessOrEqual(t, n, uint64(1<<20+1000*len(answer)), name)
		}
	})
}
