package server

import (
	"fmt"
	"reflect"
	"strings"
)

// schemaOf gives Kong's schema of a plugin with the given config, in the shape
// that Kong reads from a dump: the rules are go-pdk's, for all widths of
// integers. It gives an error for a field of a type that Kong has no
// declaration for, where go-pdk silently leaves the field out.
func schemaOf(name string, config interface{}) (map[string]interface{}, error) {
	record, err := declare(reflect.TypeOf(config), nil)
	if err != nil {
		return nil, fmt.Errorf("config of plugin %s: %w", name, err)
	}
	record["required"] = true
	return map[string]interface{}{
		"name":   name,
		"fields": []interface{}{map[string]interface{}{"config": record}},
	}, nil
}

// declare gives the declaration of a type. path is the types around it.
func declare(t reflect.Type, path []reflect.Type) (map[string]interface{}, error) {
	for _, outer := range path {
		if outer == t {
			return nil, fmt.Errorf("type %s contains itself", t)
		}
	}
	path = append(path, t)
	switch t.Kind() {
	case reflect.Pointer:
		return declare(t.Elem(), path)
	case reflect.String:
		return map[string]interface{}{"type": "string"}, nil
	case reflect.Bool:
		return map[string]interface{}{"type": "boolean"}, nil
	case reflect.Float32, reflect.Float64:
		return map[string]interface{}{"type": "number"}, nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return map[string]interface{}{"type": "integer"}, nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return map[string]interface{}{"type": "integer", "between": []int64{0, 1 << 31}}, nil
	case reflect.Slice:
		elements, err := declare(t.Elem(), path)
		return map[string]interface{}{"type": "array", "elements": elements}, err
	case reflect.Map:
		keys, err := declare(t.Key(), path)
		if err != nil {
			return nil, err
		}
		values, err := declare(t.Elem(), path)
		return map[string]interface{}{"type": "map", "keys": keys, "values": values}, err
	case reflect.Struct:
		return declareStruct(t, path)
	}
	return nil, fmt.Errorf("type %s has no place in a Kong schema", t)
}

func declareStruct(t reflect.Type, path []reflect.Type) (map[string]interface{}, error) {
	fields := []interface{}{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.IsExported() || name == "-" {
			continue
		}
		if name == "" {
			name = strings.ToLower(f.Name)
		}
		declaration, err := declare(f.Type, path)
		if err != nil {
			return nil, fmt.Errorf("field %s: %w", f.Name, err)
		}
		fields = append(fields, map[string]interface{}{name: declaration})
	}
	return map[string]interface{}{"type": "record", "fields": fields}, nil
}
