package schema

import (
	"errors"
	"fmt"
	"reflect"
)

// table is a table of Lua, as Kong reads it from JSON.
type table = map[string]interface{}

// Of gives Kong's schema of the plugin with the given name. config is what the
// plugin's constructor gave, a pointer to a struct: what it has set is the
// default. The error joins one for each fault, which starts with the field.
func Of(name string, config interface{}) (map[string]interface{}, error) {
	v := reflect.ValueOf(config)
	for v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct {
		return nil, fmt.Errorf("%T: want a pointer to a struct", config)
	}
	m := maker{}
	record := m.record(v.Type(), v, place{})
	record["required"] = true
	if len(m.faults) > 0 {
		return nil, errors.Join(m.faults...)
	}
	return table{"name": name, "fields": append(m.scope, table{"config": record})}, nil
}

// maker collects what a schema has besides its declarations.
type maker struct {
	scope  []interface{} // fields of the plugin entity that limit where it may be
	faults []error
}

// place is where in the config a declaration stands.
type place struct {
	name   string         // of the Go field, for errors: Outer.Inner
	around []reflect.Type // the structs that it is in
}

func (m *maker) fault(p place, format string, args ...interface{}) {
	err := fmt.Errorf(format, args...)
	if p.name != "" {
		err = fmt.Errorf("field %s: %w", p.name, err)
	}
	m.faults = append(m.faults, err)
}

// Defaults gives the default values that a schema of [Of] declares, in the shape
// of the config.
func Defaults(schema map[string]interface{}) map[string]interface{} {
	for _, f := range schema["fields"].([]interface{}) {
		if record, ok := f.(table)["config"].(table); ok {
			return defaultsOf(record)
		}
	}
	return nil
}

func defaultsOf(record table) table {
	out := table{}
	for _, f := range record["fields"].([]interface{}) {
		for name, d := range f.(table) {
			d := d.(table)
			if v, has := d["default"]; has {
				out[name] = v
			} else if d["type"] == "record" {
				if inner := defaultsOf(d); len(inner) > 0 {
					out[name] = inner
				}
			}
		}
	}
	return out
}
