package schema_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/server/schema"
)

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
		}{}, []string{"field A: requried: unknown attribute; known are between, contains, default, deprecation"}},
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
		"default in not_one_of": {&struct {
			A int `kong:"not_one_of=1|2"`
		}{A: 2}, []string{"field A: default: 2 is in not_one_of"}},
		"default not eq": {&struct {
			A bool `kong:"eq=false"`
		}{A: true}, []string{"field A: default: true is not eq false"}},
		"default that is ne": {&struct {
			A string `kong:"ne=x"`
		}{A: "x"}, []string{"field A: default: x is what ne forbids"}},
		"default not gt": {&struct {
			A float64 `kong:"gt=1.5"`
		}{A: 1.5}, []string{"field A: default: 1.5 is not gt 1.5"}},
		"default no timestamp": {&struct {
			A int `kong:"timestamp,default=-1"`
		}{}, []string{"field A: default: -1 is no timestamp"}},
		"default with another start": {&struct {
			A string `kong:"starts_with=/,default=x"`
		}{}, []string{`field A: default: "x" does not start with "/"`}},
		"default no UUID": {&struct {
			A string `kong:"uuid,default=x"`
		}{}, []string{`field A: default: "x" is no UUID`}},
		"default too long": {&struct {
			A []string `kong:"len_max=1,default=x|y"`
		}{}, []string{"field A: default: a length of 2, with len_max=1"}},
		"default too short": {&struct {
			A map[string]int `kong:"len_min=2"`
		}{A: map[string]int{"a": 1}}, []string{"field A: default: a length of 1, with len_min=2"}},
		"default of another length": {&struct {
			A string `kong:"len_eq=2,default=xyz"`
		}{}, []string{"field A: default: a length of 3, with len_eq=2"}},
		"empty default": {&struct {
			A *string
		}{ptr("")}, []string{"field A: default: an empty text, which needs len_min=0"}},
		"default twice in a set": {&struct {
			A []int `kong:"set,default=1|2|1"`
		}{}, []string{"field A: default: element 3: 1 is in the set before"}},
		"default does not contain": {&struct {
			A []int `kong:"contains=3,default=1|2"`
		}{}, []string{"field A: default: it does not contain 3"}},
		"element of a default": {&struct {
			A []string `kong:"elements.one_of=a|b,default=a|c"`
		}{}, []string{"field A: default: element 2: c is not in one_of [a b]"}},
		"key of a default": {&struct {
			A map[string]int `kong:"keys.len_max=1"`
		}{A: map[string]int{"long": 1}}, []string{`field A: default: key "long": a length of 4`}},
		"value of a default": {&struct {
			A map[string]int `kong:"values.gt=1"`
		}{A: map[string]int{"a": 1}}, []string{`field A: default: value of "a": 1 is not gt 1`}},
		"field of a default": {&struct{ A []pair }{A: []pair{{Value: 1}}}, []string{"field A: default: element 1: field key: nothing, and it is required"}},
		"text": {&struct {
			A string `kong:"err"`
		}{}, []string{"field A: err: want a text"}},
		"deprecation": {&struct {
			A string `kong:"deprecation=soon"`
		}{}, []string{`field A: deprecation: "soon": want a message and the version`}},
		"if nothing": {&struct {
			_ struct{} `kong:"then=a,then.required"`
			A int
		}{}, []string{"field _: if: want a field, and what it is"}},
		"then nothing": {&struct {
			_ struct{} `kong:"if=a,then=b"`
			A int
			B int
		}{}, []string{"field _: if: want what follows from it"}},
		"then too much": {&struct {
			_ struct{} `kong:"if=a,then=b,then.required,then_at_least_one_of=a|b"`
			A int
			B int
		}{}, []string{"field _: if: want what follows from it"}},
		"two ifs": {&struct {
			_ struct{} `kong:"if=a,if=b"`
			A int
			B int
		}{}, []string{"field _: if: a tag has one if"}},
		"if of nothing": {&struct {
			_ struct{} `kong:"if.eq=1"`
			A int
		}{}, []string{"field _: if: if.eq: want if=FIELD before it"}},
		"if of another type": {&struct {
			_ struct{} `kong:"if=a,if.eq=x,then=a,then.required"`
			A int
		}{}, []string{`field _: if: if.eq: "x": want a value of type integer`}},
		"no condition": {&struct {
			_ struct{} `kong:"if=a,if.default=1"`
			A int
		}{}, []string{"field _: if: if.default: no condition"}},
		"if of two": {&struct {
			_ struct{} `kong:"if=a|b"`
			A int
			B int
		}{}, []string{`field _: if: "a|b": want one field`}},
		"one set": {&struct {
			_ struct{} `kong:"mutually_exclusive_sets=a+b"`
			A int
			B int
		}{}, []string{`field _: mutually_exclusive_sets: "a+b": want two sets of fields`}},
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
		}{}, []string{`field _: only_one_of: there is no field "b"`}},
		"check about one": {&struct {
			_ struct{} `kong:"only_one_of=a"`
			A int
		}{}, []string{`field _: only_one_of: "a": want two fields at least`}},
		"scope inside": {&struct {
			In struct {
				_ struct{} `kong:"no_route"`
			}
		}{}, []string{"field In._: no_route: only for the config itself"}},
		"name of the options": {&struct {
			Mine int `json:"kongring"`
		}{}, []string{`field Mine: the name "kongring" in Kong is taken by the options of the bridge`}},
		"name of the options, embedded": {&struct{ inner }{}, []string{`field Kongring: the name "kongring" in Kong is taken`}},
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
