package schema

import "maps"

// OptionsKey is the field of a plugin's config in Kong that says how the bridge
// runs one plugin entity. It is no field of the plugin's own config.
const OptionsKey = "kongring"

// Bounds of the option timeout, in seconds. A number of milliseconds by mistake
// is mostly beyond.
const (
	MinTimeout = 0.001
	MaxTimeout = 600
)

// options declares the record of that field. A value that is not set leaves the
// choice to the plugin's handler.lua. The Lua module kongring.options reads it.
func options() table {
	field := func(name string, d table) table { return table{name: d} }
	return table{
		"type":        "record",
		"description": "How the bridge runs this plugin entity; what is not set is as the plugin's handler.lua says.",
		"fields": []interface{}{
			field("failure_policy", table{"type": "string", "one_of": []string{"closed", "open"},
				"description": "While the plugin server is out of reach: closed answers 503, open lets requests go on without the plugin."}),
			field("timeout", table{"type": "number", "between": []interface{}{MinTimeout, MaxTimeout},
				"description": "Seconds that one event, a phase of a request, may take."}),
			field("carrier", table{"type": "string", "one_of": []string{"auto", "ring", "socket"},
				"description": "What carries the messages: ring is shared memory, auto is that or the socket where it is refused."}),
		},
	}
}

// WithOptions gives a copy of a schema of [Of] whose config has the field
// [OptionsKey] besides its own.
func WithOptions(schema map[string]interface{}) map[string]interface{} {
	out := maps.Clone(schema)
	fields := []interface{}{}
	for _, f := range schema["fields"].([]interface{}) {
		if record, ok := f.(table)["config"].(table); ok {
			record = maps.Clone(record)
			own := record["fields"].([]interface{})
			record["fields"] = append(own[:len(own):len(own)], table{OptionsKey: options()})
			f = table{"config": record}
		}
		fields = append(fields, f)
	}
	out["fields"] = fields
	return out
}

// checkReserved finds a field of the config that has the name of the options.
func (m *maker) checkReserved(fields []field) {
	for _, f := range fields {
		if f.key == OptionsKey {
			m.fault(place{}.inner(f.Name), "the name %q in Kong is taken by the options of the bridge: give it another one by the tag json", OptionsKey)
		}
	}
}
