package compat

// A Result is what getters give otherwise than in go-pdk where Lua gives the same.
type Result struct {
	Getters string // as "Request.GetPath", with commas
	Lua     string // what Lua gives: one value or several
	Theirs  string
	Ours    string
	Why     string
}

const (
	multimaps = "Request.GetHeaders, Request.GetQuery, Response.GetHeaders, ServiceResponse.GetHeaders"
	integers  = "Client.GetForwardedPort, Client.GetPort, Request.GetForwardedPort, Request.GetPort, Response.GetStatus, ServiceResponse.GetStatus"
)

// Results are all of them.
var Results = []Result{
	{"Request.GetQueryArg", `true`, `an error`, `""`,
		"an argument without a value; with go-pdk the request fails with 500"},
	{multimaps, `{ flag = true, k = { "v", "", true } }`, `map{"k": ["v", "", ""]}`, `map{"flag": [], "k": ["v", "", ""]}`,
		"an argument without a value is there, and has no values"},
	{"Request.GetUriCaptures", `{ named = { }, unnamed = { "a", false } }`, `an error`, `[bytes "a", bytes ""] and nil map`,
		"a group that matched nothing; with go-pdk the request fails with 500"},
	{"Client.GetCredential", `{ consumer = { id = "c" }, id = "i" }`, `{Id: "i"}`, `{Id: "i", ConsumerId: "c"}`,
		"Kong's own plugins put the consumer's id there"},
	{"Router.GetRoute", `{ headers = { h = { "v" } } }`, `{}`, `{Headers: ["h: v"]}`,
		"HeaderValues has the values by name"},
	{"Router.GetRoute", `{ sources = { { ip = "192.0.2.1", port = 5 } } }`, `an error`,
		`{Sources: ["192.0.2.1:5"], SourceParts: [{IP: "192.0.2.1", Port: int 5}]}`, "a stream route; with go-pdk the connection fails"},
	{"Router.GetRoute", `{ destinations = { { port = 5 } } }`, `an error`,
		`{Destinations: [":5"], DestinationParts: [{Port: int 5}]}`, "likewise"},
	{"Router.GetService", `{ client_certificate = { id = "k" } }`, `{}`, `{ClientCertificate: {Id: "k"}}`,
		"go-pdk leaves the field out"},
	{"Node.GetMemoryStats", `nil, { }, { k = "v" }, { flag = true, k = { "v", "", true } }`, `a panic`, `{WorkersLuaVms: []}`,
		"what Kong does not tell is 0"},
	{"IP.IsTrusted", `0, 1.5, "", "text", { }, { "a", "b" }, { k = "v" }, { flag = true, k = { "v", "", true } }`, `bool true`, `an error`,
		"no method of Kong gives this for a boolean"},
	{integers, `""`, `int 0`, `an error`,
		"no method of Kong gives a text for a number"},
	{multimaps, `{ "a", "b" }`, `an error`, `map{"1": ["a"], "2": ["b"]}`,
		"no method of Kong gives a list for a map"},
	{"Request.GetUriCaptures", `{ "a", "b" }`, `an error`, `nil slice and nil map`,
		"no method of Kong gives this"},
}
