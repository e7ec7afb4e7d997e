package schema

import (
	"encoding/json"
	"fmt"
	"reflect"
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
