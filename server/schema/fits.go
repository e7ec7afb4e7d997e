package schema

import (
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

var uuidText = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// fits tells why a default is none that Kong would take. It does not know
// patterns, which are Lua's.
func fits(d table) error {
	v, has := d["default"]
	if !has {
		return nil
	}
	if err := takes(d, v); err != nil {
		return fmt.Errorf("default: %w", err)
	}
	return nil
}

// takes tells why a declaration does not take a value.
func takes(d table, v interface{}) error {
	if v == nil {
		if d["required"] == true {
			return fmt.Errorf("nothing, and it is required")
		}
		return nil
	}
	if err := takesScalar(d, v); err != nil {
		return err
	}
	if err := takesLength(d, v); err != nil {
		return err
	}
	switch v := v.(type) {
	case []interface{}:
		return takesElements(d, v)
	case table:
		return takesFields(d, v)
	}
	return nil
}

func takesScalar(d table, v interface{}) error {
	list := func(name string) []interface{} { l, _ := d[name].([]interface{}); return l }
	if allowed := list("one_of"); allowed != nil && !slices.Contains(allowed, v) {
		return fmt.Errorf("%v is not in one_of %v", v, allowed)
	}
	if slices.Contains(list("not_one_of"), v) {
		return fmt.Errorf("%v is in not_one_of", v)
	}
	if want, has := d["eq"]; has && want != v {
		return fmt.Errorf("%v is not eq %v", v, want)
	}
	if other, has := d["ne"]; has && other == v {
		return fmt.Errorf("%v is what ne forbids", v)
	}
	bounds := list("between")
	if b, ok := d["between"].([]int64); ok {
		bounds = []interface{}{b[0], b[1]}
	}
	if bounds != nil && (less(v, bounds[0]) || less(bounds[1], v)) {
		return fmt.Errorf("%v is not between %v and %v", v, bounds[0], bounds[1])
	}
	if limit, has := d["gt"]; has && !less(limit, v) {
		return fmt.Errorf("%v is not gt %v", v, limit)
	}
	if d["timestamp"] == true && reflect.ValueOf(v).Convert(reflect.TypeFor[float64]()).Float() <= 0 {
		return fmt.Errorf("%v is no timestamp", v)
	}
	if start, has := d["starts_with"].(string); has && !strings.HasPrefix(v.(string), start) {
		return fmt.Errorf("%q does not start with %q", v, start)
	}
	if d["uuid"] == true && !uuidText.MatchString(v.(string)) {
		return fmt.Errorf("%q is no UUID", v)
	}
	return nil
}

func takesLength(d table, v interface{}) error {
	var length int64
	switch v := v.(type) {
	case string:
		length = int64(len(v)) // in bytes, as Lua counts
		if _, has := d["len_min"]; !has && v == "" {
			return fmt.Errorf("an empty text, which needs len_min=0")
		}
	case []interface{}:
		length = int64(len(v))
	case table:
		length = int64(len(v))
	default:
		return nil
	}
	for name, wrong := range map[string]func(int64) bool{
		"len_eq":  func(n int64) bool { return length != n },
		"len_min": func(n int64) bool { return length < n },
		"len_max": func(n int64) bool { return length > n },
	} {
		if n, has := d[name].(int64); has && wrong(n) {
			return fmt.Errorf("a length of %d, with %s=%d", length, name, n)
		}
	}
	return nil
}

func takesElements(d table, list []interface{}) error {
	for i, v := range list {
		if err := takes(d["elements"].(table), v); err != nil {
			return fmt.Errorf("element %d: %w", i+1, err)
		}
		same := func(other interface{}) bool { return reflect.DeepEqual(other, v) }
		if d["type"] == "set" && slices.IndexFunc(list, same) < i {
			return fmt.Errorf("element %d: %v is in the set before", i+1, v)
		}
	}
	if want, has := d["contains"]; has && !slices.Contains(list, want) {
		return fmt.Errorf("it does not contain %v", want)
	}
	return nil
}

// takesFields looks at what is in a map or a record.
func takesFields(d, values table) error {
	if d["type"] == "map" {
		for _, key := range slices.Sorted(maps.Keys(values)) {
			if err := takes(d["keys"].(table), key); err != nil {
				return fmt.Errorf("key %q: %w", key, err)
			}
			if err := takes(d["values"].(table), values[key]); err != nil {
				return fmt.Errorf("value of %q: %w", key, err)
			}
		}
		return nil
	}
	for _, f := range d["fields"].([]interface{}) {
		for name, inner := range f.(table) {
			inner := inner.(table)
			v, has := values[name]
			if !has {
				v = inner["default"]
			}
			if err := takes(inner, v); err != nil {
				return fmt.Errorf("field %s: %w", name, err)
			}
		}
	}
	return nil
}

// less compares two numbers of one type.
func less(a, b interface{}) bool {
	if n, ok := a.(int64); ok {
		return n < b.(int64)
	}
	return a.(float64) < b.(float64)
}
