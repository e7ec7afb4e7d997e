package schema

import (
	"reflect"
	"slices"
	"strings"
)

// field is a field of a struct as encoding/json sees it: those of embedded
// structs are the struct's own.
type field struct {
	reflect.StructField
	key    string // in JSON
	quoted bool   // the JSON is a string with the value in it
	depth  int    // of embedding
	value  reflect.Value
}

// fieldsOf gives a struct's fields in their order. v is the struct with its
// defaults, or the zero Value. blank gets each field named _, whose tag is about
// the struct as a whole.
func (m *maker) fieldsOf(t reflect.Type, v reflect.Value, p place, depth int, blank func(reflect.StructField)) (fields []field) {
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Name == "_" {
			blank(f)
			continue
		}
		key, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Tag.Get("json") == "-" {
			continue
		}
		var value reflect.Value
		if v.IsValid() {
			value = v.Field(i)
		}
		if inner := follow(f.Type); f.Anonymous && key == "" && inner.Kind() == reflect.Struct && !decodesText(inner) {
			if f.Type.Kind() == reflect.Pointer && !f.IsExported() {
				m.fault(p.inner(f.Name), "JSON cannot be decoded into an embedded pointer to a type that is not exported")
				continue
			}
			if slices.Contains(p.around, inner) {
				m.fault(p.inner(f.Name), "type %s contains itself", inner)
				continue
			}
			at := p
			at.around = append(slices.Clone(p.around), inner)
			fields = m.add(p, fields, m.fieldsOf(inner, followValue(value), at, depth+1, blank)...)
			continue
		}
		if !f.IsExported() && (!f.Anonymous || f.Type.Kind() != reflect.Struct) {
			if f.Tag.Get(tagName) != "" {
				m.fault(p.inner(f.Name), "it has the tag %s and is not exported", tagName)
			}
			continue
		}
		if key == "" {
			key = strings.ToLower(f.Name)
		}
		quoted := slices.Contains(strings.Split(options, ","), "string")
		fields = m.add(p, fields, field{f, key, quoted, depth, value})
	}
	return fields
}

// add adds fields. Of two with one name the one that is less deeply embedded
// counts, as in Go.
func (m *maker) add(p place, fields []field, more ...field) []field {
	for _, f := range more {
		i := slices.IndexFunc(fields, func(g field) bool { return g.key == f.key })
		switch {
		case i < 0:
			fields = append(fields, f)
		case f.depth < fields[i].depth:
			fields[i] = f
		case f.depth == fields[i].depth:
			m.fault(p.inner(f.Name), "%s has the same name in JSON, %q", fields[i].Name, f.key)
		}
	}
	return fields
}

// inner is the place of a field of the struct at p.
func (p place) inner(name string) place {
	if p.name != "" {
		name = p.name + "." + name
	}
	p.name = name
	return p
}

// follow gives what pointers point to.
func follow(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}

// followValue gives what pointers point to, the zero Value for nothing.
func followValue(v reflect.Value) reflect.Value {
	for v.IsValid() && v.Kind() == reflect.Pointer {
		v = v.Elem() // of nil, the zero Value
	}
	return v
}
