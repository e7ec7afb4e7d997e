package schema

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
)

// plain gives a Go value as JSON has it, with the names of the schema.
func plain(v reflect.Value) interface{} {
	v = followValue(v)
	if !v.IsValid() {
		return nil
	}
	if decodesText(v.Type()) || v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Uint8 {
		var out interface{}
		if text, err := json.Marshal(v.Interface()); err == nil && json.Unmarshal(text, &out) == nil {
			return out
		}
		return nil
	}
	switch v.Kind() {
	case reflect.Slice, reflect.Array:
		list := []interface{}{}
		for i := range v.Len() {
			list = append(list, plain(v.Index(i)))
		}
		return list
	case reflect.Map:
		out := table{}
		for _, key := range v.MapKeys() {
			out[fmt.Sprint(plain(key))] = plain(v.MapIndex(key))
		}
		return out
	case reflect.Struct:
		out := table{}
		for _, f := range new(maker).fieldsOf(v.Type(), v, place{}, 0, func(reflect.StructField) {}) {
			if f.value.IsValid() && !f.value.IsZero() {
				out[f.key] = plain(f.value)
			}
		}
		return out
	}
	switch {
	case v.CanInt():
		return v.Int()
	case v.CanUint():
		return int64(v.Uint())
	case v.CanFloat():
		return v.Float()
	case v.Kind() == reflect.String:
		return v.String()
	}
	return v.Interface()
}

// less compares two numbers of one type.
func less(a, b interface{}) bool {
	if n, ok := a.(int64); ok {
		return n < b.(int64)
	}
	return a.(float64) < b.(float64)
}

// fits tells why a default is none that Kong would take.
func fits(d table) error {
	v, has := d["default"]
	if !has {
		return nil
	}
	if allowed, ok := d["one_of"].([]interface{}); ok && !slices.Contains(allowed, v) {
		return fmt.Errorf("default: %v is not in one_of %v", v, allowed)
	}
	var bounds []interface{}
	switch b := d["between"].(type) {
	case []interface{}:
		bounds = b
	case []int64:
		bounds = []interface{}{b[0], b[1]}
	}
	if bounds != nil && (less(v, bounds[0]) || less(bounds[1], v)) {
		return fmt.Errorf("default: %v is not between %v and %v", v, bounds[0], bounds[1])
	}
	return nil
}
