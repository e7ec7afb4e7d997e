package record_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tinylib/msgp/msgp"

	"github.com/kongring/kongring/server"
	"github.com/kongring/kongring/server/cmd/internal/record"
	"github.com/kongring/kongring/server/wire"
	"github.com/kongring/kongring/server/wire/golden"
)

// begin is the trace of a session that has the instance and the profile of the
// golden frames.
func begin() server.TraceStart {
	return server.TraceStart{
		Session: 3, Worker: 1, Carrier: "ring", LogLevel: 5, Started: time.Unix(1e9, 0),
		Schemas:   map[string]json.RawMessage{"hello": json.RawMessage(`{"fields":[{"config":{"type":"record","fields":[{"message":{"type":"string"}}]}}]}`)},
		Instances: []server.TraceInstance{{Number: 1, Plugin: "hello", Entity: "e", Config: json.RawMessage(`{"message":"hi"}`)}},
		Profiles:  []server.TraceProfile{{Instance: 1, Phase: wire.PhaseAccess, Body: golden.Read("profile")[wire.HeadSize:]}},
		Constants: []server.TraceConstant{{Method: wire.NodeGetID, Value: msgp.AppendString(nil, "node")}},
	}
}

// file gives the file of golden frames, a millisecond apart.
func file(t testing.TB, whole bool, names ...string) string {
	t.Helper()
	g, header, lines := record.NewGatherer(begin(), whole)
	for i, name := range names {
		from := map[byte]bool{wire.TypeEvent: true, wire.TypeReturn: true, wire.TypeCancel: true, wire.TypeStart: true}
		frame := golden.Read(name)
		lines = append(lines, g.Add(server.TraceFrame{At: int64(1000 * i), FromWorker: from[frame[0]], Frame: frame})...)
	}
	lines = append(lines, record.Line{At: 9000, Type: record.TypeEnd, Text: record.EndTime})
	var text bytes.Buffer
	w, err := record.NewWriter(&text, header)
	require.NoError(t, err)
	require.NoError(t, w.Write(lines...))
	require.EqualValues(t, text.Len(), w.Bytes)
	return text.String()
}

func TestGoldenEvents(t *testing.T) {
	text := file(t, true, "event", "call", "return", "done", "profile", "event-values", "exit")
	r, err := record.Read(strings.NewReader(text))
	require.NoError(t, err)
	require.Equal(t, record.Header{
		Version: record.Version, Protocol: "3.4", Started: r.Started, Session: 3, Worker: 1, Carrier: "ring", LogLevel: 5,
	}, r.Header)
	require.Len(t, r.Events, 2)
	first, second := r.Events[0], r.Events[1]
	require.Equal(t, "1.2", first.ID)
	require.Equal(t, "access", first.Phase)
	require.Equal(t, "hello", first.Instance.Plugin)
	require.Equal(t, []record.Step{
		{Call: record.Call{Method: "kong.response.set_header", Args: []any{"x-hello", "hi"}}, At: 1000, Posted: true},
		{Call: record.Call{Method: "kong.request.get_header", Args: []any{"x-name"}}, At: 1000, Answered: true, After: 1000, Status: "ok", Value: "ada"},
		{Call: record.Call{Method: "kong.response.set_status", Args: []any{json.Number("201")}}, At: 3000, Posted: true},
	}, first.Steps)
	require.Equal(t, record.TypeDone, first.End.Type)
	require.Equal(t, "ok", first.End.Status)
	require.Equal(t, []record.Value{{Call: record.Call{Method: "kong.request.get_header", Args: []any{"x-name"}}, Value: "ada"}}, second.Values)
	require.Equal(t, record.TypeExit, second.End.Type)
	require.Equal(t, []any{json.Number("403"), "no"}, second.End.Args)
	require.Equal(t, []record.Value{{Call: record.Call{Method: "kong.node.get_id", Args: nil}, Value: "node"}}, r.Constants)
	require.Equal(t, record.EndTime, r.End)
}

// What a request brings is left out, and names and what they are for stay.
func TestRedaction(t *testing.T) {
	text := file(t, false, "event", "call", "return", "done", "profile", "event-values", "exit")
	require.NotContains(t, text, `"ada"`)
	require.NotContains(t, text, `"no"`)
	require.Contains(t, text, `{"method":"kong.request.get_header","args":["x-name"],"value":{"$redacted":3}}`)
	require.Contains(t, text, `{"method":"kong.response.set_header","args":["x-hello",{"$redacted":2}]}`)
	require.Contains(t, text, `"args":[403,{"$redacted":2}]`)
	require.Contains(t, text, `"config":{"message":"hi"}`)
	r, err := record.Read(strings.NewReader(text))
	require.NoError(t, err)
	require.True(t, r.Redacted)
	require.True(t, record.Same(r.Events[1].Values[0].Value, "eve"))
	b, err := record.Encode(r.Events[1].Values[0].Value)
	require.NoError(t, err)
	require.Equal(t, msgp.AppendString(nil, "xxx"), b)
}

// Every method's texts are left out, unless the list of what is kept has it.
func TestRedactionOfAllMethods(t *testing.T) {
	const secret = "hush-hush"
	for id := range wire.Methods[1:] {
		id := wire.MethodID(id + 1)
		start := begin()
		value := msgp.AppendString(msgp.AppendMapHeader(nil, 1), "name")
		start.Constants = []server.TraceConstant{{Method: id, Value: msgp.AppendString(msgp.AppendArrayHeader(value, 1), secret)}}
		_, _, lines := record.NewGatherer(start, false)
		text, err := json.Marshal(lines)
		require.NoError(t, err)
		if strings.Contains(string(text), secret) {
			require.NotRegexp(t, `header|query|body|var|ctx|consumer|credential|certificate|vault|_ip$|serialize|captures`, id.String())
		}
	}
}

func TestRedactionOfConfigs(t *testing.T) {
	start := begin()
	start.Schemas["hello"] = json.RawMessage(`{"fields":[{"config":{"type":"record","fields":[
		{"url":{"type":"string"}},
		{"user":{"type":"string","referenceable":true}},
		{"list":{"type":"array","elements":{"type":"string","encrypted":true}}},
		{"inner":{"type":"record","fields":[{"pin":{"type":"string","encrypted":true}},{"n":{"type":"integer"}}]}},
		{"keys":{"type":"map","values":{"type":"string"}}},
		{"places":{"type":"map","values":{"type":"string"}}}]}}]}`)
	start.Instances[0].Config = json.RawMessage(`{"url":"u","user":"me","list":["a"],"inner":{"pin":"1","n":12345678901234567890},
		"keys":{"k1":"ada"},"places":{"here":"there"},"db_password":"p","empty_token":"","__key__":"plugins:hello"}`)
	_, _, lines := record.NewGatherer(start, false)
	require.JSONEq(t, `{"url":"u","user":"redacted","list":["redacted"],"inner":{"pin":"redacted","n":12345678901234567890},
		"keys":{"redacted 1":"redacted"},"places":{"here":"there"},"db_password":"redacted","empty_token":"","__key__":"plugins:hello"}`,
		string(lines[0].Config))
	_, _, lines = record.NewGatherer(start, true)
	require.JSONEq(t, string(start.Instances[0].Config), string(lines[0].Config))
}

// Values come back as they went, but for what is the same to a plugin.
func TestValues(t *testing.T) {
	for name, message := range map[string][]byte{
		"nil":           {0xc0},
		"true":          {0xc3},
		"integer":       msgp.AppendInt64(nil, -1234567890123),
		"fraction":      msgp.AppendFloat64(nil, 1.5),
		"infinity":      msgp.AppendFloat64(nil, math.Inf(-1)),
		"no number":     msgp.AppendFloat64(nil, math.NaN()),
		"text":          msgp.AppendString(nil, "zoë \x1b \"q\""),
		"bytes":         msgp.AppendStringFromBytes(nil, []byte{0xff, 0, 0xfe}),
		"list":          {0x92, 1, 0x91, 0xa1, 'x'},
		"map":           {0x82, 0xa1, 'a', 1, 0xa1, 'b', 0x80},
		"odd keys":      {0x82, 1, 2, 0xc3, 4},
		"key like ours": {0x81, 0xa7, '$', 'b', 'a', 's', 'e', '6', '4', 0xa1, 'x'},
		"key twice":     {0x82, 0xa1, 'a', 1, 0xa1, 'a', 2},
	} {
		t.Run(name, func(t *testing.T) {
			start := begin()
			start.Constants[0].Value = message
			_, header, lines := record.NewGatherer(start, true)
			var text bytes.Buffer
			w, err := record.NewWriter(&text, header)
			require.NoError(t, err)
			require.NoError(t, w.Write(append(lines, record.Line{Type: record.TypeEnd, Text: "x"})...))
			r, err := record.Read(&text)
			require.NoError(t, err)
			got, err := record.Encode(r.Constants[0].Value)
			require.NoError(t, err)
			require.Equal(t, message, got)
			require.True(t, record.Same(r.Constants[0].Value, lines[1].Value))
		})
	}
}

func TestSame(t *testing.T) {
	n := func(s string) any { return json.Number(s) }
	for _, tc := range []struct {
		a, b any
		want bool
	}{
		{nil, nil, true}, {nil, false, false}, {true, true, true}, {"a", "a", true}, {"a", "b", false},
		{n("1"), n("1.0"), true}, {n("1"), n("2"), false}, {n("1"), "1", false},
		{[]any{"a"}, []any{"a"}, true}, {[]any{"a"}, []any{}, false}, {[]any{}, nil, false},
		{map[string]any{"a": nil}, map[string]any{"a": nil}, true}, {map[string]any{"a": nil}, map[string]any{"b": nil}, false},
		{map[string]any{"$redacted": n("3")}, "other", true}, {"other", map[string]any{"$redacted": n("3")}, true},
		{map[string]any{"$redacted": n("3")}, n("3"), false},
	} {
		require.Equal(t, tc.want, record.Same(tc.a, tc.b), "%v %v", tc.a, tc.b)
	}
}

// Pieces are one message, and what is lost between them is not put together.
func TestPieces(t *testing.T) {
	event := golden.Read("event-values")
	head := event[:wire.HeadSize]
	pieces := [][]byte{event[:wire.HeadSize+3], append(append([]byte{}, head...), event[wire.HeadSize+3:wire.HeadSize+7]...),
		append(append([]byte{}, head...), event[wire.HeadSize+7:]...)}
	add := func(lost uint64) (lines []record.Line) {
		g, _, _ := record.NewGatherer(begin(), true)
		for i, p := range pieces {
			f := server.TraceFrame{FromWorker: true, More: i < len(pieces)-1, Frame: p}
			if i == 1 {
				f.Lost = lost
			}
			lines = append(lines, g.Add(f)...)
		}
		return lines
	}
	lines := add(0)
	require.Len(t, lines, 1)
	require.Equal(t, "ada", lines[0].Values[0].Value)
	lines = add(2)
	require.Equal(t, record.TypeLost, lines[0].Type)
	require.EqualValues(t, 2, lines[0].Frames)
	require.Len(t, lines, 1, "what is left is no message")
}

// Whatever a side sends, the gatherer bears it.
func TestNonsenseIsLost(t *testing.T) {
	for name, frame := range map[string][]byte{
		"too short":        {4, 3},
		"phase":            wire.AppendHead(nil, wire.Head{Type: wire.TypeEvent, Code: 99}),
		"values":           append(wire.AppendHead(nil, wire.Head{Type: wire.TypeEvent, Code: 3, Arg: 1}), 1, 2, 3),
		"unknown profile":  append(wire.AppendHead(nil, wire.Head{Type: wire.TypeEvent, Code: 3, Arg: 1}), 9, 0, 0, 0, 1, 0, 0, 0, 0, 0),
		"profile":          wire.AppendHead(nil, wire.Head{Type: wire.TypeProfile, Code: 3, Arg: 1}),
		"start":            append(wire.AppendHead(nil, wire.Head{Type: wire.TypeStart}), 0xc0),
		"method":           append(wire.AppendHead(nil, wire.Head{Type: wire.TypeCall, Slot: 1, Generation: 2, Arg: 60000}), 0x90),
		"deep":             append(wire.AppendHead(nil, wire.Head{Type: wire.TypeReturn, Slot: 1, Generation: 2}), bytes.Repeat([]byte{0x91}, 1000)...),
		"more than a list": append(wire.AppendHead(nil, wire.Head{Type: wire.TypeCall, Slot: 1, Generation: 2, Arg: 1}), 0xdd, 0xff, 0xff, 0xff, 0xff),
	} {
		g, _, _ := record.NewGatherer(begin(), true)
		g.Add(server.TraceFrame{Frame: golden.Read("event")})
		lines := g.Add(server.TraceFrame{Frame: frame})
		require.Len(t, lines, 1, name)
		require.Equal(t, record.TypeLost, lines[0].Type, name)
		require.NotEmpty(t, lines[0].Text, name)
	}
}

// Files that are none say so in one line, with the number of theirs.
func TestReadErrors(t *testing.T) {
	whole := file(t, true, "event", "call", "return", "done")
	lines := strings.SplitAfter(whole, "\n")
	head := lines[0]
	end := `{"at":1,"type":"end","text":"x"}` + "\n"
	for says, text := range map[string]string{
		"not the record of a trace: it is empty":                          "",
		"not the record of a trace: its first line does not say so":       "#!/bin/sh\n",
		"a record of version 9, this command reads version 1":             `{"kongring_trace":9}` + "\n",
		"it was cut off behind line 5: its last line is missing":          strings.Join(lines[:5], ""),
		"it was cut off within line 5":                                    strings.Join(lines[:4], "") + lines[4][:9],
		`line 2: a line of type "tea"`:                                    head + `{"type":"tea"}` + "\n",
		`line 2: json: unknown field "tea"`:                               head + `{"type":"end","text":"x","tea":1}` + "\n",
		"line 2: something behind its end":                                head + `{"at":1,"type":"end","text":"x"}{}` + "\n",
		"line 3: the one before it was the last":                          head + end + end,
		`line 2: a done of event "1.2", which is not under way`:           head + `{"type":"done","event":"1.2","status":"ok"}` + "\n",
		"line 2: an event of instance 7, which was not named":             head + `{"type":"event","event":"1.2","instance":7,"phase":"access"}` + "\n",
		`line 2: an event in phase "tea"`:                                 head + `{"type":"event","event":"1.2","instance":7,"phase":"tea"}` + "\n",
		`line 2: the method "kong.tea", which this version does not know`: head + `{"type":"constant","method":"kong.tea"}` + "\n",
		`line 2: the status "tea"`:                                        head + `{"type":"instance","plugin":"p","status":"tea"}` + "\n",
		`line 2: a line of type "instance" that does not say of what`:     head + `{"type":"instance"}` + "\n",
		"line 2: -1 microseconds after the start":                         head + `{"at":-1,"type":"lost"}` + "\n",
		`line 2: a value "$float" that makes no sense`:                    head + `{"type":"constant","method":"kong.node.get_id","value":{"$float":"1"}}` + "\n",
		`line 2: a value "$redacted" that makes no sense`:                 head + `{"type":"constant","method":"kong.node.get_id","value":{"$redacted":1e12}}` + "\n",
		`line 2: a map with the key "$a" beside others`:                   head + `{"type":"constant","method":"kong.node.get_id","value":{"$a":1,"b":2}}` + "\n",
		fmt.Sprintf("line 2: a value is nested deeper than %d", 40):       head + `{"type":"constant","method":"kong.node.get_id","value":` + strings.Repeat("[", 99) + strings.Repeat("]", 99) + `}` + "\n",
		`line 7: a second answer of event "1.2"`:                          strings.Join(lines[:6], "") + lines[5],
	} {
		_, err := record.Read(strings.NewReader(text))
		require.ErrorContains(t, err, says)
		require.NotContains(t, err.Error(), "\n")
	}
}

// FuzzRead: no file makes the reader fail otherwise than by an error, and what it
// takes can be encoded.
func FuzzRead(f *testing.F) {
	f.Add(file(f, true, "event", "call", "return", "done", "profile", "event-values", "exit"))
	f.Add(file(f, false, "event", "call", "cancel"))
	f.Fuzz(func(t *testing.T, text string) {
		r, err := record.Read(strings.NewReader(text))
		if err != nil {
			require.Nil(t, r)
			return
		}
		require.NotEmpty(t, r.End)
		for _, ev := range r.Events {
			require.NotNil(t, ev.Instance)
			for _, s := range ev.Steps {
				require.NotZero(t, record.MethodOf(s.Method))
				if len(text) < 1<<10 { // a short one may stand for long texts
					continue
				}
				_, err := record.EncodeList(s.Args)
				require.NoError(t, err)
			}
		}
	})
}
