package server

import (
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/kongring/kongring/server/pdk"
	"github.com/kongring/kongring/server/schema"
	"github.com/kongring/kongring/server/wire"
)

// tryTime is how long a handler may take in a check.
const tryTime = 10 * time.Second

// Check looks for what would go wrong with the plugins that opts give, without
// Kong: their schemas, the names and signatures of their handlers, their
// versions. Then each handler runs once with the default config against package
// pdk/test; it reaches what it calls besides the PDK. Check writes one line to w
// for each finding and tells whether there was none.
func Check(w io.Writer, opts ...Option) (ok bool) { return check(w, tryTime, opts) }

func check(w io.Writer, patience time.Duration, opts []Option) (ok bool) {
	ok = true
	find := func(format string, args ...interface{}) {
		ok = false
		fmt.Fprintln(w, strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", " "))
	}
	o := defaults()
	for _, set := range opts {
		for _, err := range leaves(safely(func() error { return set(&o) })) {
			find("%v", err)
		}
	}
	if _, err := newRegistry(o.plugins, o.bounds); err != nil {
		find("%v", err)
	}
	for _, p := range o.plugins {
		for _, text := range slices.Concat(p.checkConstructor(), p.checkMethods(), p.checkVersion(), p.checkProtocols()) {
			find("plugin %s: %s", p.name, text)
		}
		for _, phase := range p.phases {
			for _, text := range p.try(phase, patience) {
				find("plugin %s: phase %s: %s", p.name, phase, text)
			}
		}
	}
	return ok
}

// leaves gives the errors that one joins.
func leaves(err error) (all []error) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			all = append(all, leaves(e)...)
		}
	} else if err != nil {
		all = append(all, err)
	}
	return all
}

// safely makes a panic an error.
func safely(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panicked: %v", v)
		}
	}()
	return f()
}

// otherPhases are Kong's that only Lua can serve, by the name that a method
// would have.
var otherPhases = map[string]string{
	"InitWorker": "init_worker", "Configure": "configure", "Balancer": "balancer",
	"HeaderFilter": "header_filter", "BodyFilter": "body_filter",
}

// checkMethods finds handlers that Kong would never call.
func (p *plugin) checkMethods() (findings []string) {
	t := reflect.TypeOf(p.construct())
	for i := range t.NumMethod() {
		m := t.Method(i)
		if m.Type.NumIn() != 2 || m.Type.In(1) != reflect.TypeFor[*pdk.PDK]() {
			continue
		}
		if meant := misspelt(m.Name); meant != "" {
			findings = append(findings, fmt.Sprintf("method %s is no handler: want %s", m.Name, meant))
		}
		phase, other := otherPhases[m.Name]
		if other {
			text := fmt.Sprintf("method %s is no handler: the phase %s cannot be served from outside nginx", m.Name, phase)
			if strings.HasSuffix(phase, "_filter") && slices.Contains(p.phases, "response") {
				text += ", and Kong refuses it beside response (method Response)"
			}
			findings = append(findings, text)
		}
	}
	return findings
}

// misspelt gives the handler's name that a method's name is close to: but for
// its case, or one letter that is wrong, missing, too many or in its
// neighbour's place.
func misspelt(name string) string {
	for _, known := range methodNames[1:] {
		if name != known && (strings.EqualFold(known, name) || oneSlip(known, name)) {
			return known
		}
	}
	return ""
}

// oneSlip tells whether one letter makes the difference of two texts.
func oneSlip(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	head, tail := 0, 0
	for head < len(a) && a[head] == b[head] {
		head++
	}
	for tail < len(a)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	a, b = a[head:len(a)-tail], b[head:len(b)-tail]
	return len(a) <= 1 && len(b) <= 1 || len(a) == 2 && len(b) == 2 && a[0] == b[1] && a[1] == b[0]
}

// checkConstructor finds one that gives the same config twice: instances would
// write over each other's.
func (p *plugin) checkConstructor() []string {
	a, b := reflect.ValueOf(p.construct()), reflect.ValueOf(p.construct())
	if a.Type().Elem().Size() > 0 && a.Pointer() == b.Pointer() {
		return []string{"the constructor gives the same config each time, want a new one"}
	}
	return nil
}

var version = regexp.MustCompile(`[0-9.]+`)

// checkVersion applies what Kong does to a version.
func (p *plugin) checkVersion() []string {
	number := strings.Trim(version.FindString(p.version), ".")
	if number == "" || strings.Count(number, ".") > 2 {
		return []string{fmt.Sprintf("version %q: Kong wants up to three numbers, such as 1.2.3", p.version)}
	}
	return nil
}

// checkProtocols finds phases that the protocols of the schema rule out.
func (p *plugin) checkProtocols() (findings []string) {
	has := map[bool]bool{} // by whether the stream subsystem serves it
	var narrowed []string
	for _, f := range p.schema["fields"].([]interface{}) {
		if d, ok := f.(map[string]interface{})["protocols"].(map[string]interface{}); ok {
			narrowed = d["default"].([]string)
		}
	}
	for _, name := range narrowed {
		has[slices.Contains([]string{"tcp", "tls", "tls_passthrough", "udp"}, name)] = true
	}
	for _, phase := range p.phases {
		stream := phase == wire.PhaseNames[wire.PhasePreread]
		http := slices.Contains([]string{"rewrite", "access", "response"}, phase)
		if narrowed != nil && (stream && !has[true] || http && !has[false]) {
			findings = append(findings, fmt.Sprintf("phase %s never runs with the protocols %s", phase, strings.Join(narrowed, ", ")))
		}
	}
	return findings
}

// defaultConfig gives the plugin's config as Kong would send it for {}.
func (p *plugin) defaultConfig() (interface{}, error) {
	config := p.construct()
	text, err := json.Marshal(schema.Defaults(p.schema))
	if err == nil {
		err = json.Unmarshal(text, config)
	}
	return config, err
}
