package server

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/kongring/kongring/server/pdk"
	"github.com/kongring/kongring/server/schema"
	"github.com/kongring/kongring/server/wire"
)

// handler is a plugin's method for one phase, bound to an instance's config.
type handler func(*pdk.PDK)

// plugin is what the server knows of one plugin.
type plugin struct {
	name      string
	construct func() interface{}
	version   string
	priority  int
	phases    []string               // with a handler, in the order of wire.PhaseNames
	schema    map[string]interface{} // as Kong reads it

	noPrefetch bool
	maxEvents  int                           // under way in one worker
	pinned     [len(wire.PhaseNames)][]habit // getters that the author declared
}

// newPlugin looks at a config that the constructor makes for the phases that
// the plugin has handlers for.
func newPlugin(name string, construct func() interface{}, version string, priority int) (*plugin, error) {
	if name == "" || construct == nil {
		return nil, fmt.Errorf("plugin %q: name and constructor are needed", name)
	}
	config := construct()
	if v := reflect.ValueOf(config); v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		return nil, fmt.Errorf("plugin %s: the constructor gives %s, want a pointer to a struct", name, kindOf(config))
	}
	p := &plugin{name: name, construct: construct, version: version, priority: priority, maxEvents: maxEvents}
	for phase, h := range handlersOf(config) {
		if h != nil {
			p.phases = append(p.phases, wire.PhaseNames[phase])
		}
	}
	faults := checkSignatures(name, config, p.phases)
	var err error
	p.schema, err = schema.Of(name, config)
	for _, fault := range leaves(err) {
		faults = append(faults, fmt.Errorf("config of plugin %s: %w", name, fault))
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return p, nil
}

// kindOf tells what a constructor gave.
func kindOf(config interface{}) string {
	if v := reflect.ValueOf(config); v.Kind() == reflect.Pointer && v.IsNil() {
		return fmt.Sprintf("a nil %T", config)
	}
	return fmt.Sprintf("%T", config)
}

// handlersOf gives the handlers of a config by phase, nil where it has none.
func handlersOf(config interface{}) (hs [len(wire.PhaseNames)]handler) {
	if p, ok := config.(interface{ Certificate(*pdk.PDK) }); ok {
		hs[wire.PhaseCertificate] = p.Certificate
	}
	if p, ok := config.(interface{ Rewrite(*pdk.PDK) }); ok {
		hs[wire.PhaseRewrite] = p.Rewrite
	}
	if p, ok := config.(interface{ Access(*pdk.PDK) }); ok {
		hs[wire.PhaseAccess] = p.Access
	}
	if p, ok := config.(interface{ Response(*pdk.PDK) }); ok {
		hs[wire.PhaseResponse] = p.Response
	}
	if p, ok := config.(interface{ Preread(*pdk.PDK) }); ok {
		hs[wire.PhasePreread] = p.Preread
	}
	if p, ok := config.(interface{ Log(*pdk.PDK) }); ok {
		hs[wire.PhaseLog] = p.Log
	}
	return hs
}

// methodNames are the names of the handlers, by phase.
var methodNames = [...]string{
	wire.PhaseCertificate: "Certificate",
	wire.PhaseRewrite:     "Rewrite",
	wire.PhaseAccess:      "Access",
	wire.PhaseResponse:    "Response",
	wire.PhasePreread:     "Preread",
	wire.PhaseLog:         "Log",
}

// checkSignatures finds methods that are named like a handler and are none,
// which stock Kong would call for ever.
func checkSignatures(name string, config interface{}, phases []string) (faults []error) {
	has := map[string]bool{}
	for _, p := range phases {
		has[p] = true
	}
	t := reflect.TypeOf(config)
	for phase, method := range methodNames {
		if m, ok := t.MethodByName(method); ok && method != "" && !has[wire.PhaseNames[phase]] {
			faults = append(faults, fmt.Errorf("plugin %s: method %s has the type %s, want func(*pdk.PDK)", name, method, m.Type))
		}
	}
	if len(phases) == 0 && len(faults) == 0 {
		for i := range t.NumMethod() {
			if meant := misspelt(t.Method(i).Name); meant != "" {
				faults = append(faults, fmt.Errorf("plugin %s: method %s is no handler: want %s", name, t.Method(i).Name, meant))
			}
		}
		faults = append(faults, fmt.Errorf("plugin %s: %T has no handler: want at least one of the methods %v", name, config, methodNames[1:]))
	}
	return faults
}
