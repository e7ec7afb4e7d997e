package test

import (
	"encoding/json"
	"fmt"
)

// args are the arguments of a call.
type args []interface{}

func (a args) at(i int) interface{} {
	if i < len(a) {
		return a[i]
	}
	return nil
}

func (a args) text(i int) string {
	switch v := a.at(i).(type) {
	case string:
		return v
	case []byte:
		return string(v)
	}
	return ""
}

func (a args) number(i int) int {
	n, _ := plain(a.at(i)).(float64)
	return int(n)
}

func (a args) is(i int) bool {
	b, _ := a.at(i).(bool)
	return b
}

// list gives one string or several.
func (a args) list(i int) []string {
	switch v := a.at(i).(type) {
	case string:
		return []string{v}
	case []interface{}:
		out := []string{}
		for _, e := range v {
			s, _ := e.(string)
			out = append(out, s)
		}
		return out
	}
	return nil
}

func (a args) table(i int) map[string]interface{} {
	t, _ := a.at(i).(map[string]interface{})
	return t
}

// headers gives a map of lists.
func (a args) headers(i int) map[string][]string {
	out := map[string][]string{}
	for name, values := range a.table(i) {
		out[name] = args{values}.list(0)
	}
	return out
}

// limit checks the number of values that are asked for.
func (a args) limit(i int) (int, error) {
	n := a.number(i)
	if n < 1 || n > 1000 {
		return 0, fmt.Errorf("%d values: want 1 to 1000", n)
	}
	return n, nil
}

// plain makes of a value what Lua has of it: all numbers are float64.
func plain(v interface{}) interface{} {
	switch v := v.(type) {
	case int64:
		return float64(v)
	case uint64:
		return float64(v)
	case []interface{}:
		for i := range v {
			v[i] = plain(v[i])
		}
	case map[string]interface{}:
		for k := range v {
			v[k] = plain(v[k])
		}
	}
	return v
}

// entity makes a Lua table of an entity, by its names in JSON.
func entity(v interface{}) map[string]interface{} {
	var m map[string]interface{}
	text, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(text, &m)
	}
	if err != nil {
		panic(err) // an entity that JSON has no place for
	}
	return m
}
