package schema

import (
	"fmt"
	"slices"
	"strings"
)

// rules about several fields, which are lists of their names.
var rules = []string{"at_least_one_of", "only_one_of", "distinct", "mutually_required", "mutually_exclusive"}

// scopes are what a plugin may be forbidden to belong to, and what Kong calls
// the others of its kind.
var scopes = map[string][2]string{
	"no_route":    {"route", "routes"},
	"no_service":  {"service", "services"},
	"no_consumer": {"consumer", "consumers"},
}

var protocols = []string{"grpc", "grpcs", "http", "https", "tcp", "tls", "tls_passthrough", "udp", "ws", "wss"}

// whole reads the tag of a blank field, which is about its struct: rules about
// the fields of the record, and in the config itself where the plugin may be
// used.
func (m *maker) whole(tag string, record table, p place) {
	items, err := parse(tag)
	if err != nil {
		m.fault(p.inner("_"), "%w", err)
		return
	}
	var condition []item
	for _, i := range items {
		if head, _, _ := strings.Cut(i.name, "."); head == "if" || head == "then" || head == "then_at_least_one_of" {
			condition = append(condition, i)
		} else if err := m.about(i, record, p); err != nil {
			m.fault(p.inner("_"), "%s: %w", i.name, err)
		}
	}
	if condition != nil {
		if err := m.conditional(condition, record); err != nil {
			m.fault(p.inner("_"), "if: %w", err)
		}
	}
}

func (m *maker) about(i item, record table, p place) error {
	scope, isScope := scopes[i.name]
	switch {
	case slices.Contains(rules, i.name):
		names, err := several(i.value, "|", record)
		if err != nil {
			return err
		}
		addCheck(record, i.name, names)
	case i.name == "mutually_exclusive_sets":
		first, second, two := strings.Cut(i.value, "|")
		set1, err := named(first, "+", record)
		if err != nil {
			return err
		}
		set2, err := named(second, "+", record)
		if err != nil || !two {
			return fmt.Errorf("%q: want two sets of fields: a+b|c+d", i.value)
		}
		addCheck(record, i.name, table{"set1": set1, "set2": set2})
	case p.name != "" && (isScope || i.name == "protocols"):
		return fmt.Errorf("only for the config itself")
	case isScope && i.valued:
		return fmt.Errorf("it has no value")
	case isScope:
		m.scope = append(m.scope, table{scope[0]: table{"type": "foreign", "reference": scope[1], "eq": nil}})
	case i.name == "protocols":
		for _, name := range i.list() {
			if !slices.Contains(protocols, name) {
				return fmt.Errorf("%q: want some of %s", name, strings.Join(protocols, "|"))
			}
		}
		m.scope = append(m.scope, table{"protocols": table{
			"type": "set", "required": true, "default": i.list(), "elements": table{"type": "string", "one_of": i.list()},
		}})
	default:
		return fmt.Errorf("unknown; known are %s, mutually_exclusive_sets, if, then, then_at_least_one_of, no_route, no_service, no_consumer, protocols", strings.Join(rules, ", "))
	}
	return nil
}

// addCheck adds a rule to a record.
func addCheck(record table, name string, about interface{}) {
	checks, _ := record["entity_checks"].([]interface{})
	record["entity_checks"] = append(checks, table{name: about})
}

// several gives the names of two fields at least.
func several(text, separator string, record table) ([]string, error) {
	names, err := named(text, separator, record)
	if err == nil && len(names) < 2 {
		err = fmt.Errorf("%q: want two fields at least: a|b", text)
	}
	return names, err
}

// named gives the names of fields that a record has.
func named(text, separator string, record table) ([]string, error) {
	names := strings.Split(text, separator)
	for _, name := range names {
		if find(record, name) == nil {
			return nil, fmt.Errorf("there is no field %q", name)
		}
	}
	return names, nil
}

// find gives the declaration of a field of a record, or of one in it: in.b.
func find(record table, name string) table {
	name, inner, deeper := strings.Cut(name, ".")
	fields, _ := record["fields"].([]interface{})
	for _, f := range fields {
		if d, ok := f.(table)[name].(table); ok && deeper {
			return find(d, inner)
		} else if ok {
			return d
		}
	}
	return nil
}
