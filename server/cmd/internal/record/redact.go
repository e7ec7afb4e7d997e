package record

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"

	"github.com/kongring/kongring/server/wire"
)

// What is kept of a record that is to be shown around: numbers, the names of
// headers and of everything else, and the texts below. All other texts leave
// their length behind.

// kept are getters whose texts are kept: they say where a request goes, and
// nothing of who sends it.
var kept = []wire.MethodID{
	wire.RequestGetScheme, wire.RequestGetHost, wire.RequestGetMethod, wire.RequestGetPath, wire.RequestGetRawPath,
	wire.RequestGetForwardedScheme, wire.RequestGetForwardedHost, wire.RequestGetForwardedPath, wire.RequestGetForwardedPrefix,
	wire.ResponseGetSource, wire.ClientGetProtocol, wire.NginxGetTLS1VersionStr, wire.NginxGetSubsystem,
	wire.NodeGetID, wire.NodeGetHostname, wire.ClusterGetID, wire.PluginGetID, wire.RouterGetRoute, wire.RouterGetService,
}

// lines are the methods that write to Kong's log: who reads a record reads that.
var lines = []wire.MethodID{
	wire.LogEmerg, wire.LogAlert, wire.LogCrit, wire.LogErr, wire.LogWarn, wire.LogNotice, wire.LogInfo, wire.LogDebug,
}

// named are the writes whose first argument is a name.
var named = []wire.MethodID{
	wire.ResponseSetHeader, wire.ResponseAddHeader, wire.ResponseClearHeader,
	wire.ServiceRequestSetHeader, wire.ServiceRequestAddHeader, wire.ServiceRequestClearHeader, wire.ServiceRequestClearQueryArg,
	wire.CtxSharedSet, wire.CtxPluginSet, wire.NginxSetCtx, wire.LogSetSerializeValue,
}

// whole are the writes whose arguments say nothing of who sends the request.
var whole = []wire.MethodID{
	wire.ServiceRequestSetScheme, wire.ServiceRequestSetMethod, wire.ServiceRequestSetPath, wire.ServiceSetUpstream, wire.ServiceSetTarget,
}

// redact replaces the texts in a value, but for the keys of maps.
func redact(value any) any {
	switch v := value.(type) {
	case string:
		return map[string]any{keyRedacted: json.Number(strconv.Itoa(len(v)))}
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = redact(v[i])
		}
		return list
	case map[string]any:
		switch key, content := special(v); key {
		case keyBytes:
			text, _ := content.(string)
			return map[string]any{keyRedacted: json.Number(strconv.Itoa(len(text) * 3 / 4))}
		case keyFloat, keyRedacted:
			return v
		case keyPairs:
			pairs, _ := content.([]any)
			kept := make([]any, len(pairs))
			for i := range pairs {
				pair := pairs[i].([]any) // takeMap made it
				kept[i] = []any{pair[0], redact(pair[1])}
			}
			return map[string]any{keyPairs: kept}
		}
		table := make(map[string]any, len(v))
		for name := range v {
			table[name] = redact(v[name])
		}
		return table
	}
	return value
}

// redactResult is redact for what a method gives.
func redactResult(id wire.MethodID, value any) any {
	if slices.Contains(kept, id) {
		return value
	}
	return redact(value)
}

// redactArgs is redact for the arguments of a method: those of a getter say what
// it asks for, and stay.
func redactArgs(id wire.MethodID, args []any) []any {
	switch wire.Methods[id].Class {
	case wire.ClassPosted, wire.ClassChecked, wire.ClassTerminal:
	default:
		return args
	}
	if slices.Contains(lines, id) || slices.Contains(whole, id) {
		return args
	}
	hidden := redact(args).([]any)
	if slices.Contains(named, id) && len(args) > 0 {
		hidden[0] = args[0]
	}
	return hidden
}

// telling are names of fields whose values are nobody's business, whatever the
// plugin's author says of them.
var telling = regexp.MustCompile(`(?i)passw|passphrase|secret|token|credential|(^|_)keys?$|api_?key|private|signature|authorization|cookie`)

// hiddenText stands in a config where a text was. A plugin starts with it as with
// another one, mostly.
const hiddenText = "redacted"

// redactConfig hides the texts of a config in fields that the plugin's schema has
// as referenceable, which come from vaults, or encrypted, and in those of a
// telling name.
func redactConfig(config, schema json.RawMessage) json.RawMessage {
	var table any
	d := json.NewDecoder(bytes.NewReader(config))
	d.UseNumber()
	if d.Decode(&table) != nil {
		return json.RawMessage(`{}`)
	}
	var about any
	_ = json.Unmarshal(schema, &about) // without one the names count
	text, err := json.Marshal(hide(table, fieldOf(about, "config"), false))
	if err != nil {
		return json.RawMessage(`{}`)
	}
	return text
}

// fieldOf gives what a schema says of a field: schemas are lists of maps with one
// key.
func fieldOf(about any, name string) any {
	record, _ := about.(map[string]any)
	fields, _ := record["fields"].([]any)
	for _, f := range fields {
		field, _ := f.(map[string]any)
		if declared, found := field[name]; found {
			return declared
		}
	}
	return nil
}

// hide hides the texts of a part of a config that about declares.
func hide(value, about any, hidden bool) any {
	declared, _ := about.(map[string]any)
	hidden = hidden || declared["referenceable"] == true || declared["encrypted"] == true
	switch v := value.(type) {
	case string:
		if hidden && v != "" {
			return hiddenText
		}
	case []any:
		for i := range v {
			v[i] = hide(v[i], declared["elements"], hidden)
		}
	case map[string]any:
		hiddenMap := make(map[string]any, len(v))
		for i, name := range slices.Sorted(maps.Keys(v)) {
			of := fieldOf(about, name)
			free := of == nil && declared["type"] == "map" // its keys are values too
			if free {
				of = declared["values"]
			}
			e := hide(v[name], of, hidden || telling.MatchString(name))
			if free && hidden {
				name = fmt.Sprintf("%s %d", hiddenText, i+1)
			}
			hiddenMap[name] = e
		}
		return hiddenMap
	}
	return value
}
