package schema

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// attribute is what may stand in a field's tag.
type attribute struct {
	kinds string // Kong's types that may have it, all if empty
	read  func(i item, d table) (interface{}, error)
}

const (
	numbers = "integer number"
	scalars = "string integer number"
	sized   = "string array set map"
)

// attributes by their names in Kong.
var attributes = map[string]attribute{
	"required":      {"", flag},
	"referenceable": {"string", flag},
	"encrypted":     {"string", flag},
	"uuid":          {"string", flag},
	"is_regex":      {"string", flag},
	"timestamp":     {numbers, flag},
	"description":   {"", description},
	"default":       {"string integer number boolean array set", scalarOrList},
	"one_of":        {scalars, list},
	"not_one_of":    {scalars, list},
	"eq":            {"string integer number boolean", one},
	"ne":            {"string integer number boolean", one},
	"gt":            {numbers, one},
	"between":       {numbers, between},
	"match":         {"string", one},
	"not_match":     {"string", one},
	"starts_with":   {"string", one},
	"len_eq":        {sized, size},
	"len_min":       {sized, size},
	"len_max":       {sized, size},
	"set":           {"array set", flag},
	"contains":      {"array set", element},
	"match_all":     {"string", patterns},
	"match_none":    {"string", patterns},
	"match_any":     {"string", anyPattern},
	"err":           {"", text},
	"examples":      {scalars, list},
	"deprecation":   {"", deprecation},
}

// attributes adds what a field's tag says and its default to its declaration.
func (m *maker) attributes(d table, f field, p place) {
	items, err := parse(f.Tag.Get(tagName))
	if err != nil {
		m.fault(p, "%w", err)
		return
	}
	for _, i := range items {
		if err := m.attribute(d, i); err != nil {
			m.fault(p, "%s: %w", i.name, err)
			return
		}
	}
	if err := constructed(d, f.value); err != nil {
		m.fault(p, "%w", err)
	}
	if err := fits(d); err != nil {
		m.fault(p, "%w", err)
	}
}

// attribute adds one attribute, of the declaration or of what is in it:
// elements.match.
func (m *maker) attribute(d table, i item) error {
	if part, name, inner := strings.Cut(i.name, "."); inner {
		in, ok := d[part].(table)
		if !ok || part != "elements" && part != "keys" && part != "values" {
			return fmt.Errorf("a field of type %v has no %s", d["type"], part)
		}
		return m.attribute(in, item{name, i.value, i.valued})
	}
	a, known := attributes[i.name]
	if !known {
		return fmt.Errorf("unknown attribute; known are %s", strings.Join(slices.Sorted(maps.Keys(attributes)), ", "))
	}
	kind, _ := d["type"].(string)
	if a.kinds != "" && !slices.Contains(strings.Fields(a.kinds), kind) {
		return fmt.Errorf("not for a field of type %s, only for %s", kind, a.kinds)
	}
	v, err := a.read(i, d)
	if err != nil {
		return err
	}
	if i.name == "set" && v == true {
		d["type"] = "set"
	} else if i.name != "set" {
		d[i.name] = v
	}
	return nil
}

func flag(i item, _ table) (interface{}, error) {
	if !i.valued {
		return true, nil
	}
	v, err := strconv.ParseBool(i.value)
	if err != nil {
		return nil, fmt.Errorf("%q: want no value, true or false", i.value)
	}
	return v, nil
}

func description(i item, _ table) (interface{}, error) {
	if n := utf8.RuneCountInString(i.value); n < 10 || n > 500 {
		return nil, fmt.Errorf("%d characters, Kong wants 10 to 500", n)
	}
	return i.value, nil
}

func text(i item, _ table) (interface{}, error) {
	if i.value == "" {
		return nil, fmt.Errorf("want a text")
	}
	return i.value, nil
}

// patterns are what Kong wants to match one by one. Each has a text of its own
// there, since Kong has none by itself.
func patterns(i item, _ table) (interface{}, error) {
	list := []interface{}{}
	for _, p := range i.list() {
		text := "must match " + p
		if i.name == "match_none" {
			text = "must not match " + p
		}
		list = append(list, table{"pattern": p, "err": text})
	}
	return list, nil
}

func anyPattern(i item, _ table) (interface{}, error) {
	return table{"patterns": i.list(), "err": "must match one of " + strings.Join(i.list(), ", ")}, nil
}

func deprecation(i item, _ table) (interface{}, error) {
	message, version, two := strings.Cut(i.value, "|")
	if !two || message == "" || version == "" {
		return nil, fmt.Errorf("%q: want a message and the version that removes the field: use x|4.0", i.value)
	}
	return table{"message": message, "removal_in_version": version}, nil
}

// element reads a value of what is in an array.
func element(i item, d table) (interface{}, error) {
	return scalar(i.value, d["elements"].(table))
}

func size(i item, _ table) (interface{}, error) {
	n, err := strconv.ParseUint(i.value, 10, 31)
	if err != nil {
		return nil, fmt.Errorf("%q: want a length", i.value)
	}
	return int64(n), nil
}

func one(i item, d table) (interface{}, error) { return scalar(i.value, d) }

func list(i item, d table) (interface{}, error) {
	values := []interface{}{}
	for _, text := range i.list() {
		v, err := scalar(text, d)
		if err != nil {
			return nil, err
		}
		values = append(values, v)
	}
	return values, nil
}

func scalarOrList(i item, d table) (interface{}, error) {
	elements, ok := d["elements"].(table)
	if !ok {
		return scalar(i.value, d)
	}
	if i.value == "" {
		return []interface{}{}, nil
	}
	return list(i, elements)
}

func between(i item, d table) (interface{}, error) {
	v, err := list(i, d)
	if err != nil {
		return nil, err
	}
	if bounds := v.([]interface{}); len(bounds) != 2 || less(bounds[1], bounds[0]) {
		return nil, fmt.Errorf("%q: want two bounds, the lower first: 1|10", i.value)
	}
	if outer, ok := d["between"].([]int64); ok {
		for _, bound := range v.([]interface{}) {
			if n, ok := bound.(int64); ok && (n < outer[0] || n > outer[1]) {
				return nil, fmt.Errorf("%d: the Go type holds %d to %d", n, outer[0], outer[1])
			}
		}
	}
	return v, nil
}

// scalar reads a value of a declaration's type.
func scalar(text string, d table) (v interface{}, err error) {
	switch d["type"] {
	case "string":
		return text, nil
	case "integer":
		v, err = strconv.ParseInt(text, 10, 64)
	case "number":
		v, err = strconv.ParseFloat(text, 64)
	case "boolean":
		v, err = strconv.ParseBool(text)
	default:
		return nil, fmt.Errorf("no tag can hold a value of type %v", d["type"])
	}
	if err != nil {
		return nil, fmt.Errorf("%q: want a value of type %v", text, d["type"])
	}
	return v, nil
}

// constructed takes what the constructor set as the default.
func constructed(d table, v reflect.Value) error {
	if d["type"] == "record" || !v.IsValid() || v.IsZero() {
		return nil // a record's fields have their own
	}
	value := plain(v)
	if _, is := value.(string); d["type"] == "string" && !is {
		value = fmt.Sprint(value) // encoding/json's option string
	}
	if tagged, has := d["default"]; has && !reflect.DeepEqual(tagged, value) {
		return fmt.Errorf("default: %v in the tag, %v from the constructor", tagged, value)
	}
	d["default"] = value
	return nil
}
