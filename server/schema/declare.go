package schema

import (
	"encoding"
	"encoding/json"
	"math"
	"reflect"
	"slices"
)

var (
	textDecoder = reflect.TypeFor[encoding.TextUnmarshaler]()
	jsonDecoder = reflect.TypeFor[json.Unmarshaler]()
)

// decodesText tells whether JSON strings are decoded into a type.
func decodesText(t reflect.Type) bool { return reflect.PointerTo(t).Implements(textDecoder) }

// ranges are the integers of types that are narrower than Kong's. uint and
// uint32 have go-pdk's, uint64 what a number in Lua holds.
var ranges = map[reflect.Kind][]int64{
	reflect.Int8:   {math.MinInt8, math.MaxInt8},
	reflect.Int16:  {math.MinInt16, math.MaxInt16},
	reflect.Int32:  {math.MinInt32, math.MaxInt32},
	reflect.Uint8:  {0, math.MaxUint8},
	reflect.Uint16: {0, math.MaxUint16},
	reflect.Uint:   {0, 1 << 31},
	reflect.Uint32: {0, 1 << 31},
	reflect.Uint64: {0, 1 << 53},
}

// declare gives the declaration of a type.
func (m *maker) declare(t reflect.Type, v reflect.Value, p place) table {
	t, v = follow(t), followValue(v)
	if decodesText(t) { // time.Time too, which decodes its JSON besides
		return table{"type": "string"}
	}
	if reflect.PointerTo(t).Implements(jsonDecoder) {
		m.fault(p, "type %s decodes its JSON itself, so its shape is unknown", t)
		return table{}
	}
	switch t.Kind() {
	case reflect.String:
		return table{"type": "string"}
	case reflect.Bool:
		return table{"type": "boolean"}
	case reflect.Float32, reflect.Float64:
		return table{"type": "number"}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		d := table{"type": "integer"}
		if between := ranges[t.Kind()]; between != nil {
			d["between"] = between
		}
		return d
	case reflect.Slice, reflect.Array:
		return m.list(t, p)
	case reflect.Map:
		return m.dictionary(t, p)
	case reflect.Struct:
		if slices.Contains(p.around, t) {
			m.fault(p, "type %s contains itself", t)
			return table{}
		}
		return m.record(t, v, p)
	}
	m.fault(p, "type %s has no place in a Kong schema", t)
	return table{}
}

func (m *maker) list(t reflect.Type, p place) table {
	if t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8 {
		return table{"type": "string"} // base64, as encoding/json has it
	}
	d := table{"type": "array", "elements": m.declare(t.Elem(), reflect.Value{}, p)}
	if t.Kind() == reflect.Array {
		d["len_max"] = int64(t.Len())
	}
	return d
}

func (m *maker) dictionary(t reflect.Type, p place) table {
	keys := m.declare(t.Key(), reflect.Value{}, p)
	switch keys["type"] {
	case nil, "string":
	case "integer": // but in JSON, a key is a string
		keys = table{"type": "string", "match": "^%-?%d+$"}
	default:
		m.fault(p, "type %s cannot be the key of a map", t.Key())
	}
	return table{"type": "map", "keys": keys, "values": m.declare(t.Elem(), reflect.Value{}, p)}
}

func (m *maker) record(t reflect.Type, v reflect.Value, p place) table {
	p.around = append(slices.Clone(p.around), t)
	list := []interface{}{}
	var tags []string
	blank := func(f reflect.StructField) { tags = append(tags, f.Tag.Get(tagName)) }
	fields := m.fieldsOf(t, v, p, 0, blank)
	if p.name == "" {
		m.checkReserved(fields)
	}
	for _, f := range fields {
		at := p.inner(f.Name)
		faults := len(m.faults)
		d := m.declare(f.Type, f.value, at)
		if kind := d["type"]; f.quoted && (kind == "integer" || kind == "number" || kind == "boolean") {
			d = table{"type": "string"}
		}
		if len(m.faults) == faults {
			m.attributes(d, f, at)
		}
		list = append(list, table{f.key: d})
	}
	d := table{"type": "record", "fields": list}
	for _, tag := range tags {
		m.whole(tag, d, p)
	}
	return d
}
