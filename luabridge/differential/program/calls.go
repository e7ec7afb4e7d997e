package program

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kongring/kongring/server/pdk"
)

// kind is a PDK method: the phases in which it is called, and how a call of it
// is made up.
type kind struct {
	name   string
	phases Phase
	write  bool
	make   func(d *dice) (args []interface{}, run call)
}

func (k kind) step(d *dice, phase Phase) Step {
	args, run := k.make(d)
	texts := make([]string, len(args))
	for i, a := range args {
		texts[i] = fmt.Sprintf("%#v", a)
	}
	return Step{Phase: phase, Call: k.name + "(" + strings.Join(texts, ", ") + ")", Write: k.write, run: run}
}

// Shorthands for rows: the number and kind of arguments.

func get0[T any](name string, phases Phase, f func(*pdk.PDK) (T, error)) kind {
	return kind{name, phases, false, func(*dice) ([]interface{}, call) {
		return nil, func(k *pdk.PDK, _ string) (interface{}, error) { return f(k) }
	}}
}

func get1[A, T any](name string, phases Phase, arg func(*dice) A, f func(*pdk.PDK, A) (T, error)) kind {
	return kind{name, phases, false, func(d *dice) ([]interface{}, call) {
		a := arg(d)
		return []interface{}{a}, func(k *pdk.PDK, _ string) (interface{}, error) { return f(k, a) }
	}}
}

func set1[A any](name string, phases Phase, arg func(*dice) A, f func(*pdk.PDK, A) error) kind {
	return kind{name, phases, true, func(d *dice) ([]interface{}, call) {
		a := arg(d)
		return []interface{}{a}, func(k *pdk.PDK, _ string) (interface{}, error) { return nil, f(k, a) }
	}}
}

func set2[A, B any](name string, phases Phase, arg func(*dice) (A, B), f func(*pdk.PDK, A, B) error) kind {
	return kind{name, phases, true, func(d *dice) ([]interface{}, call) {
		a, b := arg(d)
		return []interface{}{a, b}, func(k *pdk.PDK, _ string) (interface{}, error) { return nil, f(k, a, b) }
	}}
}

func oneOf[T any](values ...T) func(*dice) T {
	return func(d *dice) T { return pick(d, values...) }
}

// Where methods may be called. saved are those that the log phase keeps.
const (
	early = Rewrite | Access
	live  = Rewrite | Access | Response
	later = Access | Response
	saved = Log
	all   = live | saved
)

// changing are the getters of what the handlers' own writes change.
var changing = []kind{
	get0("Request.GetHost", all, func(k *pdk.PDK) (string, error) { return k.Request.GetHost() }),
	get0("Request.GetForwardedScheme", live, func(k *pdk.PDK) (string, error) { return k.Request.GetForwardedScheme() }),
	get0("Request.GetForwardedHost", live, func(k *pdk.PDK) (string, error) { return k.Request.GetForwardedHost() }),
	get0("Request.GetForwardedPort", live, func(k *pdk.PDK) (int, error) { return k.Request.GetForwardedPort() }),
	get1("Request.GetHeader", all, (*dice).requestHeader,
		func(k *pdk.PDK, a string) (string, error) { return k.Request.GetHeader(a) }),
	get1("Request.GetHeader", all, (*dice).requestHeader,
		func(k *pdk.PDK, a string) (string, error) { return k.Request.GetHeader(a) }),
	get1("Request.GetHeader", all, (*dice).requestHeader,
		func(k *pdk.PDK, a string) (string, error) { return k.Request.GetHeader(a) }),
	get1("Request.GetHeaders", all, (*dice).limit,
		func(k *pdk.PDK, n int) (map[string][]string, error) { return k.Request.GetHeaders(n) }),
	get0("Response.GetStatus", Response|saved, func(k *pdk.PDK) (int, error) { return k.Response.GetStatus() }),
	get1("Response.GetHeader", Response|saved, (*dice).responseHeader,
		func(k *pdk.PDK, a string) (string, error) { return k.Response.GetHeader(a) }),
	get1("Response.GetHeader", Response|saved, (*dice).responseHeader,
		func(k *pdk.PDK, a string) (string, error) { return k.Response.GetHeader(a) }),
	get1("Response.GetHeaders", Response|saved, oneOf(-1, 100, 200, 1000),
		func(k *pdk.PDK, n int) (map[string][]string, error) { return k.Response.GetHeaders(n) }),
	get0("Response.GetSource", Response|saved, func(k *pdk.PDK) (string, error) { return k.Response.GetSource() }),
	get1("Client.GetProtocol", later, oneOf(true, true, false),
		func(k *pdk.PDK, b bool) (string, error) { return k.Client.GetProtocol(b) }),
	get1("Ctx.GetSharedAny", all, (*dice).sharedKey,
		func(k *pdk.PDK, a string) (interface{}, error) { return k.Ctx.GetSharedAny(a) }),
	get1("Ctx.GetSharedString", all, (*dice).sharedKey,
		func(k *pdk.PDK, a string) (string, error) { return k.Ctx.GetSharedString(a) }),
	get1("Ctx.GetSharedFloat", all, (*dice).sharedKey,
		func(k *pdk.PDK, a string) (float64, error) { return k.Ctx.GetSharedFloat(a) }),
	get1("Nginx.GetVar", live, oneOf("request_method", "args", "host", "http_x_a", "uri", "sent_http_x_a", "http_host", "none"),
		func(k *pdk.PDK, a string) (string, error) { return k.Nginx.GetVar(a) }),
}

// forwarded are those that read X-Forwarded headers.
var forwarded = slices.DeleteFunc(slices.Clone(changing), func(k kind) bool {
	return !strings.Contains(k.name, "Forwarded") && k.name != "Client.GetProtocol"
})

// fixed are the others.
var fixed = []kind{
	get0("Request.GetScheme", all, func(k *pdk.PDK) (string, error) { return k.Request.GetScheme() }),
	get0("Request.GetPort", live, func(k *pdk.PDK) (int, error) { return k.Request.GetPort() }),
	get0("Request.GetHttpVersion", live, func(k *pdk.PDK) (float64, error) { return k.Request.GetHttpVersion() }),
	get0("Request.GetMethod", all, func(k *pdk.PDK) (string, error) { return k.Request.GetMethod() }),
	get0("Request.GetPath", all, func(k *pdk.PDK) (string, error) { return k.Request.GetPath() }),
	get0("Request.GetPathWithQuery", all, func(k *pdk.PDK) (string, error) { return k.Request.GetPathWithQuery() }),
	get0("Request.GetRawQuery", live, func(k *pdk.PDK) (string, error) { return k.Request.GetRawQuery() }),
	get1("Request.GetQueryArg", live, oneOf("a", "b", "c", "A", "flag", "none", ""),
		func(k *pdk.PDK, a string) (string, error) { return k.Request.GetQueryArg(a) }),
	get1("Request.GetQuery", live, oneOf(-1, 1, 2, 100, 1000),
		func(k *pdk.PDK, n int) (map[string][]string, error) { return k.Request.GetQuery(n) }),
	get0("Request.GetRawBody", live, func(k *pdk.PDK) (string, error) {
		body, err := k.Request.GetRawBody()
		return string(body), err
	}),
	get0("Request.GetUriCaptures", live, func(k *pdk.PDK) (string, error) {
		unnamed, named, err := k.Request.GetUriCaptures()
		return fmt.Sprintf("%q %q", unnamed, named), err
	}),
	get0("Client.GetIp", all, func(k *pdk.PDK) (string, error) { return k.Client.GetIp() }),
	get0("Client.GetForwardedIp", all, func(k *pdk.PDK) (string, error) { return k.Client.GetForwardedIp() }),
	get0("Client.GetPort", live, func(k *pdk.PDK) (int, error) { return k.Client.GetPort() }),
	get0("Client.GetForwardedPort", live, func(k *pdk.PDK) (int, error) { return k.Client.GetForwardedPort() }),
	get0("Client.GetCredential", later|saved, func(k *pdk.PDK) (interface{}, error) { return k.Client.GetCredential() }),
	get0("Client.GetConsumer", later|saved, func(k *pdk.PDK) (interface{}, error) { return k.Client.GetConsumer() }),
	get0("Nginx.GetTLS1VersionStr", live, func(k *pdk.PDK) (string, error) { return k.Nginx.GetTLS1VersionStr() }),
	get1("Nginx.GetCtxAny", all, oneOf("KONG_PHASE", "none", "KONG_LOG", "KONG_PROXIED", "KONG_EXITED", "route"),
		func(k *pdk.PDK, a string) (interface{}, error) { return k.Nginx.GetCtxAny(a) }),
	get1("Nginx.GetCtxString", all, oneOf("plugin_id", "none", "KONG_PHASE"),
		func(k *pdk.PDK, a string) (string, error) { return k.Nginx.GetCtxString(a) }),
	get0("Nginx.ReqStartTime", all, func(k *pdk.PDK) (float64, error) { return k.Nginx.ReqStartTime() }),
	get0("Nginx.GetSubsystem", all, func(k *pdk.PDK) (string, error) { return k.Nginx.GetSubsystem() }),
	get0("Log.Serialize", saved, func(k *pdk.PDK) (string, error) { return k.Log.Serialize() }),
}

func requestPair(d *dice) (string, string) {
	name := d.requestHeader()
	return name, d.value(name)
}

func responsePair(d *dice) (string, string) {
	name := d.responseHeader()
	return name, d.value(name)
}

// clearable is a header that a request can do without.
func clearable(d *dice) string {
	name := d.requestHeader()
	if strings.EqualFold(name, "host") { // an upstream answers before it has read the body
		return "x-a"
	}
	return name
}

var setters = []kind{
	set1("Response.SetStatus", live, (*dice).status, func(k *pdk.PDK, n int) error { return k.Response.SetStatus(n) }),
	set2("Response.SetHeader", live, responsePair, func(k *pdk.PDK, a, b string) error { return k.Response.SetHeader(a, b) }),
	set2("Response.AddHeader", live, responsePair, func(k *pdk.PDK, a, b string) error { return k.Response.AddHeader(a, b) }),
	set1("Response.ClearHeader", live, (*dice).responseHeader, func(k *pdk.PDK, a string) error { return k.Response.ClearHeader(a) }),
	set1("Response.SetHeaders", live,
		func(d *dice) map[string][]string { return d.several(d.responseHeader) },
		func(k *pdk.PDK, h map[string][]string) error { return k.Response.SetHeaders(h) }),
	// Kong ignores it, with a line in the log.
	set2("Response.SetHeader", live, func(*dice) (string, string) { return "Transfer-Encoding", "chunked" },
		func(k *pdk.PDK, a, b string) error { return k.Response.SetHeader(a, b) }),

	set2("ServiceRequest.SetHeader", early, requestPair, func(k *pdk.PDK, a, b string) error { return k.ServiceRequest.SetHeader(a, b) }),
	set2("ServiceRequest.AddHeader", early, requestPair, func(k *pdk.PDK, a, b string) error { return k.ServiceRequest.AddHeader(a, b) }),
	set1("ServiceRequest.ClearHeader", early, clearable,
		func(k *pdk.PDK, a string) error { return k.ServiceRequest.ClearHeader(a) }),
	set1("ServiceRequest.SetHeaders", early,
		func(d *dice) map[string][]string { return d.several(d.requestHeader) },
		func(k *pdk.PDK, h map[string][]string) error { return k.ServiceRequest.SetHeaders(h) }),

	set2("Ctx.SetShared", all, func(d *dice) (string, interface{}) { return d.sharedKey(), d.shared() },
		func(k *pdk.PDK, a string, v interface{}) error { return k.Ctx.SetShared(a, v) }),
	set2("Ctx.SetShared", all, func(d *dice) (string, interface{}) { return d.sharedKey(), d.shared() },
		func(k *pdk.PDK, a string, v interface{}) error { return k.Ctx.SetShared(a, v) }),

	line("Log.Alert", func(k *pdk.PDK, w []interface{}) error { return k.Log.Alert(w...) }),
	line("Log.Crit", func(k *pdk.PDK, w []interface{}) error { return k.Log.Crit(w...) }),
	line("Log.Err", func(k *pdk.PDK, w []interface{}) error { return k.Log.Err(w...) }),
	line("Log.Warn", func(k *pdk.PDK, w []interface{}) error { return k.Log.Warn(w...) }),
	line("Log.Notice", func(k *pdk.PDK, w []interface{}) error { return k.Log.Notice(w...) }),
	line("Log.Info", func(k *pdk.PDK, w []interface{}) error { return k.Log.Info(w...) }),
	line("Log.Debug", func(k *pdk.PDK, w []interface{}) error { return k.Log.Debug(w...) }),
}

// Marker stands in log lines in front of the program's name.
const Marker = "program="

// line is a log line. It begins with the program's name.
func line(name string, f func(*pdk.PDK, []interface{}) error) kind {
	return kind{name, all, true, func(d *dice) ([]interface{}, call) {
		words := d.words()
		return words, func(k *pdk.PDK, program string) (interface{}, error) {
			return nil, f(k, append([]interface{}{Marker, program, ";"}, words...))
		}
	}}
}

// refused are writes that Kong or the bridge does not take.
var refused = []kind{
	set1("Response.SetStatus", live, oneOf(0, 99, 600, -1, 1<<40), func(k *pdk.PDK, n int) error { return k.Response.SetStatus(n) }),
	set2("ServiceRequest.SetHeader", Response|Log, requestPair, func(k *pdk.PDK, a, b string) error { return k.ServiceRequest.SetHeader(a, b) }),
	set1("Response.ClearHeader", Log, (*dice).responseHeader, func(k *pdk.PDK, a string) error { return k.Response.ClearHeader(a) }),
	set2("Ctx.SetShared", all, func(d *dice) (string, interface{}) { return d.sharedKey(), struct{}{} },
		func(k *pdk.PDK, a string, v interface{}) error { return k.Ctx.SetShared(a, v) }),
	get1("Request.GetQuery", live, oneOf(0, 1001), func(k *pdk.PDK, n int) (map[string][]string, error) { return k.Request.GetQuery(n) }),
	get1("Request.GetHeaders", live, oneOf(0, 1001), func(k *pdk.PDK, n int) (map[string][]string, error) { return k.Request.GetHeaders(n) }),
}

var exits = []kind{
	{"Response.Exit", live, true, func(d *dice) ([]interface{}, call) {
		status, body := d.status(), pick(d, "", "short", strings.Repeat("exit ", 500))
		headers := d.several(d.responseHeader)
		return []interface{}{status, body, headers}, func(k *pdk.PDK, _ string) (interface{}, error) {
			k.Response.Exit(status, []byte(body), headers)
			return nil, nil
		}
	}},
	{"Response.ExitStatus", live, true, func(d *dice) ([]interface{}, call) {
		status := pick(d, d.status(), d.status(), 204, 99, 600)
		return []interface{}{status}, func(k *pdk.PDK, _ string) (interface{}, error) {
			k.Response.ExitStatus(status)
			return nil, nil
		}
	}},
}
