package schema

import (
	"fmt"
	"slices"
	"strings"
)

// entityChecks are the rules about several fields.
var entityChecks = []string{"at_least_one_of", "only_one_of", "distinct", "mutually_required", "mutually_exclusive"}

// scopes are what a plugin may be forbidden to belong to, and what Kong calls
// the others of its kind.
var scopes = map[string][2]string{
	"no_route":          {"route", "routes"},
	"no_service":        {"service", "services"},
	"no_consumer":       {"consumer", "consumers"},
	"no_consumer_group": {"consumer_group", "consumer_groups"},
}

var protocols = []string{"grpc", "grpcs", "http", "https", "tcp", "tls", "tls_passthrough", "udp", "ws", "wss"}

// whole reads the tag of a blank field, which is about its struct: entity
// checks, and in the config itself where the plugin may be used.
func (m *maker) whole(tag string, p place) {
	items, err := parse(tag)
	if err != nil {
		m.fault(p.inner("_", ""), "%w", err)
		return
	}
	for _, i := range items {
		if err := m.about(i, p); err != nil {
			m.fault(p.inner("_", ""), "%s: %w", i.name, err)
		}
	}
}

func (m *maker) about(i item, p place) error {
	scope, isScope := scopes[i.name]
	switch {
	case slices.Contains(entityChecks, i.name):
		if !p.reachable {
			return fmt.Errorf("no such check works inside an array or a map")
		}
		paths := []string{}
		for _, name := range i.list() {
			paths = append(paths, p.path+"."+name)
		}
		if len(paths) < 2 {
			return fmt.Errorf("%q: want two fields at least: a|b", i.value)
		}
		m.checks = append(m.checks, table{i.name: paths})
	case p.path != "config" && (isScope || i.name == "protocols"):
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
		return fmt.Errorf("unknown; known are %s, no_route, no_service, no_consumer, no_consumer_group, protocols", strings.Join(entityChecks, ", "))
	}
	return nil
}

// checkNames finds entity checks about fields that are not there.
func (m *maker) checkNames(config table) {
	for _, check := range m.checks {
		for name, paths := range check.(table) {
			for _, path := range paths.([]string) {
				if !has(config, strings.Split(path, ".")[1:]) {
					m.fault(place{}, "%s: there is no field %s", name, path)
				}
			}
		}
	}
}

func has(record table, path []string) bool {
	fields, _ := record["fields"].([]interface{})
	for _, f := range fields {
		if d, ok := f.(table)[path[0]].(table); ok {
			return len(path) == 1 || has(d, path[1:])
		}
	}
	return false
}
