package schema_test

import (
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/server/schema"
)

type (
	base struct {
		Shared string `json:"shared"`
		Hidden string `json:"host"`
	}
	endless struct{ Next *endless }
	own     struct{}
	pair    struct {
		Key   string `kong:"required"`
		Value int8
	}
)

func (*own) UnmarshalJSON([]byte) error { return nil }

func ptr[T any](v T) *T { return &v }

// fields gives the schema of a config's fields.
func fields(t *testing.T, config interface{}) string {
	t.Helper()
	s, err := schema.Of("p", config)
	require.NoError(t, err)
	record := s["fields"].([]interface{})[0].(map[string]interface{})["config"].(map[string]interface{})
	require.Equal(t, true, record["required"])
	text, err := json.Marshal(record["fields"])
	require.NoError(t, err)
	return string(text)
}

func TestFields(t *testing.T) {
	for _, tc := range []struct {
		name   string
		config interface{}
		want   string
	}{
		{"integers", &struct {
			A int
			B int8
			C int16
			D int32
			E int64
			F uint
			G uint16
			H uint64
			I time.Duration
		}{}, `[{"a":{"type":"integer"}},{"b":{"type":"integer","between":[-128,127]}},
			{"c":{"type":"integer","between":[-32768,32767]}},{"d":{"type":"integer","between":[-2147483648,2147483647]}},
			{"e":{"type":"integer"}},{"f":{"type":"integer","between":[0,2147483648]}},
			{"g":{"type":"integer","between":[0,65535]}},{"h":{"type":"integer","between":[0,9007199254740992]}},
			{"i":{"type":"integer"}}]`},
		{"names", &struct {
			A     int `json:"x,omitempty"`
			B     int `json:"-"`
			D     int `json:",omitempty"`
			E     int `json:"e,string"`
			inner int
		}{inner: 1, E: 7}, `[{"x":{"type":"integer"}},{"d":{"type":"integer"}},{"e":{"type":"string","default":"7"}}]`},
		{"embedded", &struct {
			base
			Host string `json:"host"`
		}{base: base{"s", "inner"}, Host: "outer"}, `[{"shared":{"type":"string","default":"s"}},{"host":{"type":"string","default":"outer"}}]`},
		{"embedded by name", &struct {
			base `json:"inner"`
			Base base `json:"outer"`
		}{}, `[{"inner":{"type":"record","fields":[{"shared":{"type":"string"}},{"host":{"type":"string"}}]}},{"outer":{"type":"record","fields":[{"shared":{"type":"string"}},{"host":{"type":"string"}}]}}]`},
		{"text and bytes", &struct {
			At  time.Time
			Raw []byte
			Two [2]string
		}{Raw: []byte("hi")}, `[{"at":{"type":"string"}},{"raw":{"type":"string","default":"aGk="}},
			{"two":{"type":"array","elements":{"type":"string"},"len_max":2}}]`},
		{"pointers", &struct {
			A **bool
			B *struct{ C *int }
			D []*string
		}{B: &struct{ C *int }{ptr(0)}}, `[{"a":{"type":"boolean"}},
			{"b":{"type":"record","fields":[{"c":{"type":"integer","default":0}}]}},
			{"d":{"type":"array","elements":{"type":"string"}}}]`},
		{"defaults of the constructor", &struct {
			List []pair
			Map  map[string]uint8
			F    float32
			B    bool
		}{List: []pair{{Key: "k"}}, Map: map[string]uint8{"a": 1}, F: 0.5, B: true},
			`[{"list":{"type":"array","default":[{"key":"k"}],"elements":{"type":"record","fields":[
				{"key":{"type":"string","required":true}},{"value":{"type":"integer","between":[-128,127]}}]}}},
			{"map":{"type":"map","default":{"a":1},"keys":{"type":"string"},"values":{"type":"integer","between":[0,255]}}},
			{"f":{"type":"number","default":0.5}},{"b":{"type":"boolean","default":true}}]`},
		{"attributes", &struct {
			S string           `kong:"required,default=a,one_of=a|b|c,description='What it is, at length'"`
			P string           `kong:"match='^%d+,''x''$',len_min=1,len_max=9,referenceable,encrypted=true"`
			N float64          `kong:"between=0.5|2,default=1"`
			I int              `kong:"gt=0"`
			L []string         `kong:"set,default=x|y,len_min=1,elements.one_of=x|y"`
			M map[string][]int `kong:"keys.match=^%a+$,values.elements.between=1|3,values.len_max=2"`
		}{}, `[{"s":{"type":"string","required":true,"default":"a","one_of":["a","b","c"],"description":"What it is, at length"}},
			{"p":{"type":"string","match":"^%d+,'x'$","len_min":1,"len_max":9,"referenceable":true,"encrypted":true}},
			{"n":{"type":"number","between":[0.5,2],"default":1}},{"i":{"type":"integer","gt":0}},
			{"l":{"type":"set","default":["x","y"],"len_min":1,"elements":{"type":"string","one_of":["x","y"]}}},
			{"m":{"type":"map","keys":{"type":"string","match":"^%a+$"},
			      "values":{"type":"array","len_max":2,"elements":{"type":"integer","between":[1,3]}}}}]`},
	} {
		t.Run(tc.name, func(t *testing.T) { require.JSONEq(t, tc.want, fields(t, tc.config)) })
	}
}

func TestWholeStruct(t *testing.T) {
	s, err := schema.Of("p", &struct {
		_  struct{} `kong:"no_consumer,protocols=http|https"`
		_  struct{} `kong:"at_least_one_of=a|in.b"`
		A  string   `json:"a"`
		In struct {
			_ struct{} `kong:"mutually_exclusive=b|c"`
			B int
			C int `kong:"default=3"`
		}
	}{})
	require.NoError(t, err)
	text, err := json.Marshal(s)
	require.NoError(t, err)
	require.JSONEq(t, `{"name":"p","fields":[
		{"consumer":{"type":"foreign","reference":"consumers","eq":null}},
		{"protocols":{"type":"set","required":true,"default":["http","https"],"elements":{"type":"string","one_of":["http","https"]}}},
		{"config":{"type":"record","required":true,"fields":[{"a":{"type":"string"}},
			{"in":{"type":"record","fields":[{"b":{"type":"integer"}},{"c":{"type":"integer","default":3}}]}}]}}],
		"entity_checks":[{"at_least_one_of":["config.a","config.in.b"]},{"mutually_exclusive":["config.in.b","config.in.c"]}]}`, string(text))
	require.Equal(t, map[string]interface{}{"in": map[string]interface{}{"c": int64(3)}}, schema.Defaults(s))
}

func TestFaults(t *testing.T) {
	for name, tc := range map[string]struct {
		config interface{}
		says   []string
	}{
		"no struct": {ptr(1), []string{"*int: want a pointer to a struct"}},
		"all at once": {&struct {
			A func()
			B struct{ C chan int }
		}{}, []string{"field A: type func() has no place", "field B.C: type chan int has no place"}},
		"contains itself": {&struct{ E endless }{}, []string{"field E.Next: type schema_test.endless contains itself"}},
		"own JSON":        {&struct{ O own }{}, []string{"field O: type schema_test.own decodes its JSON itself"}},
		"key":             {&struct{ M map[bool]int }{}, []string{"field M: type bool cannot be the key of a map"}},
		"one name": {&struct {
			A int
			B int `json:"a"`
		}{}, []string{`field B: A has the same name in JSON, "a"`}},
		"embedded pointer": {&struct{ *pair }{}, []string{"field pair: JSON cannot be decoded into an embedded pointer"}},
		"tag on a private field": {&struct {
			a int `kong:"required"`
		}{a: 1}, []string{"field a: it has the tag kong and is not exported"}},
		"unknown attribute": {&struct {
			A int `kong:"requried"`
		}{}, []string{"field A: requried: unknown attribute; known are between, default, description"}},
		"kind": {&struct {
			A int `kong:"match=x"`
		}{}, []string{"field A: match: not for a field of type integer, only for string"}},
		"no elements": {&struct {
			A int `kong:"elements.match=x"`
		}{}, []string{"field A: elements.match: a field of type integer has no elements"}},
		"default of another type": {&struct {
			A int `kong:"default=x"`
		}{}, []string{`field A: default: "x": want a value of type integer`}},
		"default not in one_of": {&struct {
			A string `kong:"default=x,one_of=a|b"`
		}{}, []string{"field A: default: x is not in one_of [a b]"}},
		"default out of bounds": {&struct {
			A int `kong:"between=1|2"`
		}{A: 3}, []string{"field A: default: 3 is not between 1 and 2"}},
		"default beyond the type": {&struct {
			A uint8 `kong:"default=256"`
		}{}, []string{"field A: default: 256 is not between 0 and 255"}},
		"two defaults": {&struct {
			A int `kong:"default=1"`
		}{A: 2}, []string{"field A: default: 1 in the tag, 2 from the constructor"}},
		"bounds": {&struct {
			A int `kong:"between=2|1"`
		}{}, []string{`field A: between: "2|1": want two bounds`}},
		"bounds beyond the type": {&struct {
			A int8 `kong:"between=0|200"`
		}{}, []string{"field A: between: 200: the Go type holds -128 to 127"}},
		"length": {&struct {
			A string `kong:"len_min=-1"`
		}{}, []string{`field A: len_min: "-1": want a length`}},
		"flag": {&struct {
			A string `kong:"required=maybe"`
		}{}, []string{`field A: required: "maybe": want no value, true or false`}},
		"description": {&struct {
			A string `kong:"description=short"`
		}{}, []string{"field A: description: 5 characters, Kong wants 10 to 500"}},
		"open quote": {&struct {
			A string `kong:"match='a"`
		}{}, []string{"field A: tag", "a quote is not closed"}},
		"behind a quote": {&struct {
			A string `kong:"match='a'b"`
		}{}, []string{`"b" behind a quote`}},
		"no name": {&struct {
			A string `kong:"required,"`
		}{}, []string{"a name is missing"}},
		"check about nothing": {&struct {
			_ struct{} `kong:"only_one_of=a|b"`
			A int
		}{}, []string{"only_one_of: there is no field config.b"}},
		"check about one": {&struct {
			_ struct{} `kong:"only_one_of=a"`
			A int
		}{}, []string{`field _: only_one_of: "a": want two fields at least`}},
		"check in an array": {&struct {
			L []struct {
				_ struct{} `kong:"only_one_of=a|b"`
			}
		}{}, []string{"field L._: only_one_of: no such check works inside an array"}},
		"scope inside": {&struct {
			In struct {
				_ struct{} `kong:"no_route"`
			}
		}{}, []string{"field In._: no_route: only for the config itself"}},
		"protocol": {&struct {
			_ struct{} `kong:"protocols=gopher"`
		}{}, []string{`field _: protocols: "gopher": want some of grpc|`}},
		"unknown rule": {&struct {
			_ struct{} `kong:"no_body"`
		}{}, []string{"field _: no_body: unknown; known are at_least_one_of"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := schema.Of("p", tc.config)
			require.Error(t, err)
			for _, text := range tc.says {
				require.ErrorContains(t, err, text)
			}
		})
	}
}

func TestThePageHasAllNames(t *testing.T) {
	page, err := os.ReadFile("../SCHEMA.md")
	require.NoError(t, err)
	for _, name := range schema.Names() {
		require.Regexp(t, "`"+name+"[`=]", string(page))
	}
}

// The struct that the page shows has a schema.
func TestThePage(t *testing.T) {
	_, err := schema.Of("p", &struct {
		_ struct{} `kong:"no_consumer,protocols=http|https"`
		_ struct{} `kong:"at_least_one_of=header|query"`

		Header string         `json:"header" kong:"len_min=1,match=^[%w-]+$"`
		Query  string         `json:"query"`
		Mode   string         `json:"mode" kong:"one_of=allow|deny"`
		Limit  int            `json:"limit" kong:"required,between=1|100"`
		Token  string         `json:"token" kong:"referenceable,encrypted,description='A secret, or where it is'"`
		Paths  []string       `json:"paths" kong:"set,elements.starts_with=/"`
		Codes  map[string]int `json:"codes" kong:"keys.match=^%a+$,values.between=100|599"`
	}{Mode: "deny", Limit: 10})
	require.NoError(t, err)
}
