package compat

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	theirpdk "github.com/Kong/go-pdk"
	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/server/pdk"
	"github.com/kongring/kongring/server/pdk/bridge"
	"github.com/kongring/kongring/server/wire"
)

// given are what Lua's methods give in the comparison: to every getter, and then
// to those that get the entity.
var given = []struct {
	to string // the message that carries the entity
	v  lua
}{
	{"", nil}, {"", false}, {"", true}, {"", 0.0}, {"", 1.5}, {"", ""}, {"", "text"},
	{"", table{}}, {"", list("a", "b")}, {"", fields(map[string]lua{"k": "v"})},
	{"", fields(map[string]lua{"k": list("v", "", true), "flag": true})},
	{"UriCapturesResult", fields(map[string]lua{"unnamed": list("a", "b"), "named": fields(map[string]lua{"n": "v"})})},
	{"UriCapturesResult", fields(map[string]lua{"unnamed": list("a", false), "named": table{}})},
	{"UriCapturesResult", fields(map[string]lua{"unnamed": table{}, "named": table{}})},
	{"Consumer", fields(map[string]lua{
		"id": "i", "username": "u", "custom_id": "c", "created_at": 12.0, "tags": list("t"),
	})},
	{"AuthenticatedCredential", fields(map[string]lua{"id": "i", "consumer_id": "c"})},
	{"AuthenticatedCredential", fields(map[string]lua{"id": "i", "consumer": fields(map[string]lua{"id": "c"})})},
	{"Route", fields(map[string]lua{
		"id": "i", "name": "n", "created_at": 12.0, "updated_at": 13.0, "tags": list("t"), "hosts": list("h"), "snis": list("s"),
		"service": fields(map[string]lua{"id": "s"}), "protocols": table{}, "methods": list("GET"), "paths": list("/a"),
		"strip_path": true, "preserve_host": false, "https_redirect_status_code": 426.0, "regex_priority": 2.0,
	})},
	{"Route", fields(map[string]lua{"headers": fields(map[string]lua{"h": list("v")})})},
	{"Route", fields(map[string]lua{"sources": list(fields(map[string]lua{"ip": "192.0.2.1", "port": 5.0}))})},
	{"Route", fields(map[string]lua{"destinations": list(fields(map[string]lua{"port": 5.0}))})},
	{"Service", fields(map[string]lua{
		"id": "i", "name": "n", "created_at": 12.0, "updated_at": 13.0, "retries": 5.0, "protocol": "http", "host": "h",
		"port": 80.0, "path": "/p", "connect_timeout": 1.0, "write_timeout": 2.0, "read_timeout": 3.0, "tags": table{},
	})},
	{"Service", fields(map[string]lua{"client_certificate": fields(map[string]lua{"id": "k"})})},
	{"MemoryStats", fields(map[string]lua{
		"lua_shared_dicts": fields(map[string]lua{
			"kong":          fields(map[string]lua{"allocated_slabs": 1.0, "capacity": 2.0}),
			"kong_db_cache": fields(map[string]lua{"allocated_slabs": 3.0, "capacity": 4.0}),
		}),
		"workers_lua_vms": list(fields(map[string]lua{"http_allocated_gc": 5.0, "pid": 6.0})),
	})},
	{"MemoryStats", fields(map[string]lua{
		"lua_shared_dicts": fields(map[string]lua{"kong": table{}, "kong_db_cache": table{}}), "workers_lua_vms": table{},
	})},
}

// fixed answers a call with the message for one value.
type fixed func(wire.MethodID) []byte

func (f fixed) Get(c *bridge.Call) error {
	b := f(c.Method())
	if b == nil {
		return errRaised
	}
	c.SetResult(b)
	return nil
}

func (fixed) Post(*bridge.Call) error  { return nil }
func (fixed) Exit(*bridge.Call)        {}
func (fixed) LogLevel() int            { return 8 }
func (fixed) Context() context.Context { return context.Background() }

var errPanic = errors.New("panic")

// call calls a method by reflection, with arguments that any value of Lua goes
// with, and gives its results, or errPanic.
func call(method reflect.Value) (results []reflect.Value, err error) {
	defer func() {
		if p := recover(); p != nil {
			results, err = nil, errPanic
		}
	}()
	var args []reflect.Value
	for i := range method.Type().NumIn() {
		switch in := method.Type().In(i); in.Kind() {
		case reflect.Int:
			args = append(args, reflect.ValueOf(10))
		case reflect.String:
			args = append(args, reflect.ValueOf("k"))
		default:
			args = append(args, reflect.Zero(in))
		}
	}
	results = method.Call(args)
	err, _ = results[len(results)-1].Interface().(error)
	return results[:len(results)-1], err
}

// show writes a value with what == hides: nil and empty, the types of what is in
// interfaces. Of a struct it writes the fields that type as has.
func show(v reflect.Value, as reflect.Type) string {
	switch v.Kind() {
	case reflect.Interface:
		if v.IsNil() {
			return "nil"
		}
		return show(v.Elem(), v.Elem().Type())
	case reflect.Struct:
		var parts []string
		for i := range as.NumField() {
			f := as.Field(i)
			if text := show(v.FieldByName(f.Name), f.Type); !v.FieldByName(f.Name).IsZero() {
				parts = append(parts, f.Name+": "+text)
			}
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case reflect.Map:
		if v.IsNil() {
			return "nil map"
		}
		var parts []string
		for _, k := range v.MapKeys() {
			parts = append(parts, fmt.Sprintf("%q: %s", k, show(v.MapIndex(k), as.Elem())))
		}
		slices.Sort(parts)
		return "map{" + strings.Join(parts, ", ") + "}"
	case reflect.Slice:
		if v.IsNil() {
			return "nil slice"
		}
		if b, ok := v.Interface().([]byte); ok {
			return fmt.Sprintf("bytes %q", b)
		}
		var parts []string
		for i := range v.Len() {
			parts = append(parts, show(v.Index(i), as.Elem()))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case reflect.String:
		return fmt.Sprintf("%q", v)
	}
	return fmt.Sprintf("%s %v", v.Type(), v)
}

func showAll(results []reflect.Value, as []reflect.Value, err error) string {
	switch {
	case errors.Is(err, errPanic):
		return "a panic"
	case err != nil:
		return "an error"
	}
	var parts []string
	for i, r := range results {
		parts = append(parts, show(r, as[i].Type()))
	}
	return strings.Join(parts, " and ")
}

// getters calls f with each getter of go-pdk, as a method of its PDK value.
func getters(f func(part, name string)) {
	parts := reflect.TypeFor[theirpdk.PDK]()
	for i := range parts.NumField() {
		part := parts.Field(i)
		for m := range part.Type.NumMethod() {
			method := part.Type.Method(m)
			promoted := strings.HasPrefix(method.Name, "Ask") || method.Name == "Close"
			if !promoted && method.Type.NumOut() > 1 && method.Name != "Serialize" {
				f(part.Name, method.Name)
			}
		}
	}
}

// What each getter gives is what go-pdk gives, for the same values of Lua, but for
// the rows of the table.
func TestSameResults(t *testing.T) {
	log.SetOutput(io.Discard) // go-pdk writes about headers that it drops
	defer log.SetOutput(os.Stderr)
	var values []lua
	for _, g := range given {
		values = append(values, g.v)
	}
	outputs, sent := outputs(), sends(t, values)
	// what differs: getters by all else, in the order of what is given
	type difference struct{ lua, theirs, ours string }
	found, order := map[difference][]string{}, []difference{}
	getters(func(part, name string) {
		for i, g := range given {
			asked := "none"
			they := theirpdk.Init(kongFor(t, outputs, g.v, func(method string) { asked = method }))
			theirs, theirErr := call(reflect.ValueOf(they).Elem().FieldByName(part).MethodByName(name))
			if g.to != "" && g.to != string(outputs[asked].Name()) {
				continue
			}
			var c bridge.Call
			c.Init(fixed(func(m wire.MethodID) []byte {
				require.Equal(t, asked, wire.Methods[m].Name, "%s.%s asks for another method", part, name)
				return sent[[2]int{int(m), i + 1}]
			}))
			we := pdk.Make(c.Open())
			ours, ourErr := call(reflect.ValueOf(we).FieldByName(part).MethodByName(name))

			as := theirs
			if theirErr != nil {
				as = ours
			}
			d := difference{luaText(g.v), showAll(theirs, as, theirErr), showAll(ours, as, ourErr)}
			if d.theirs != d.ours {
				if found[d] == nil {
					order = append(order, d)
				}
				found[d] = append(found[d], part+"."+name)
			}
		}
	})
	var rows []Result
	for _, d := range order {
		r := Result{strings.Join(found[d], ", "), d.lua, d.theirs, d.ours, ""}
		if last := len(rows) - 1; last >= 0 && rows[last].Getters == r.Getters && rows[last].Theirs == r.Theirs && rows[last].Ours == r.Ours {
			rows[last].Lua += ", " + r.Lua
			continue
		}
		rows = append(rows, r)
	}
	var listed []Result
	for _, r := range Results {
		require.NotEmpty(t, r.Why, r.Lua)
		r.Why = ""
		listed = append(listed, r)
	}
	require.ElementsMatch(t, listed, rows, "Results are listed that are not found, or the other way round")
}
