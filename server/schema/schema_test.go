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
		{"keys that are numbers", &struct{ M map[int]bool }{map[int]bool{-1: true}},
			`[{"m":{"type":"map","default":{"-1":true},"keys":{"type":"string","match":"^%-?%d+$"},"values":{"type":"boolean"}}}]`},
		{"attributes about several values", &struct {
			A []int  `kong:"contains=3"`
			B string `kong:"match_all=^a|b$,match_none=x,match_any=a|c"`
			C string `kong:"err='must be right',deprecation='use B|4.0',examples=x|y"`
		}{}, `[{"a":{"type":"array","elements":{"type":"integer"},"contains":3}},
			{"b":{"type":"string","match_all":[{"pattern":"^a","err":"must match ^a"},{"pattern":"b$","err":"must match b$"}],
				"match_none":[{"pattern":"x","err":"must not match x"}],
				"match_any":{"patterns":["a","c"],"err":"must match one of a, c"}}},
			{"c":{"type":"string","err":"must be right","examples":["x","y"],
				"deprecation":{"message":"use B","removal_in_version":"4.0"}}}]`},
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
			{"in":{"type":"record","fields":[{"b":{"type":"integer"}},{"c":{"type":"integer","default":3}}],
				"entity_checks":[{"mutually_exclusive":["b","c"]}]}}],
			"entity_checks":[{"at_least_one_of":["a","in.b"]}]}}]}`, string(text))
	require.Equal(t, map[string]interface{}{"in": map[string]interface{}{"c": int64(3)}}, schema.Defaults(s))
}

func TestRules(t *testing.T) {
	s, err := schema.Of("p", &struct {
		_       struct{} `kong:"if=mode,if.one_of=x|y,then=in.n,then.between=1|3"`
		_       struct{} `kong:"if=in.n,then_at_least_one_of=mode|a"`
		_       struct{} `kong:"mutually_exclusive_sets=a|mode+in.n"`
		A, Mode string
		In      struct{ N int }
		L       []struct {
			_    struct{} `kong:"distinct=a|b"`
			A, B string
		}
	}{})
	require.NoError(t, err)
	text, err := json.Marshal(s)
	require.NoError(t, err)
	require.JSONEq(t, `{"name":"p","fields":[{"config":{"type":"record","required":true,"fields":[
		{"a":{"type":"string"}},{"mode":{"type":"string"}},
		{"in":{"type":"record","fields":[{"n":{"type":"integer"}}]}},
		{"l":{"type":"array","elements":{"type":"record","fields":[{"a":{"type":"string"}},{"b":{"type":"string"}}],
			"entity_checks":[{"distinct":["a","b"]}]}}}],
		"entity_checks":[
			{"conditional":{"if_field":"mode","if_match":{"required":true,"one_of":["x","y"]},"then_field":"in.n","then_match":{"between":[1,3]}}},
			{"conditional_at_least_one_of":{"if_field":"in.n","if_match":{"required":true},"then_at_least_one_of":["mode","a"]}},
			{"mutually_exclusive_sets":{"set1":["a"],"set2":["mode","in.n"]}}]}}]}`, string(text))
}

type inner struct{ Kongring int }

// Inside a record the name is free, and the schema that the options are added
// to stays as it is.
func TestOptions(t *testing.T) {
	own, err := schema.Of("p", &struct {
		A struct {
			B int `json:"kongring"`
		}
	}{})
	require.NoError(t, err)
	before, err := json.Marshal(own)
	require.NoError(t, err)
	with := schema.WithOptions(own)
	after, err := json.Marshal(own)
	require.NoError(t, err)
	require.Equal(t, string(before), string(after))

	record := with["fields"].([]interface{})[0].(map[string]interface{})["config"].(map[string]interface{})
	fields := record["fields"].([]interface{})
	require.Len(t, fields, 2)
	require.Contains(t, fields[0], "a")
	require.Contains(t, fields[1], schema.OptionsKey)
	require.Empty(t, schema.Defaults(with), "what is not set is left to handler.lua")
	for _, f := range fields[1].(map[string]interface{})[schema.OptionsKey].(map[string]interface{})["fields"].([]interface{}) {
		for name, d := range f.(map[string]interface{}) {
			text := d.(map[string]interface{})["description"].(string)
			require.True(t, len(text) >= 10 && len(text) <= 500, "description of %s", name)
		}
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
