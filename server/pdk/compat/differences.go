package compat

// A Difference is an exported symbol of go-pdk that is not the same here, on
// purpose: "package.Symbol", or a package as a whole.
type Difference struct {
	Symbol string
	Why    string
}

const (
	noProtobuf = "carries go-pdk's Protocol Buffers; events come over shared memory here"
	noServer   = "a message of go-pdk's older protocol that its server no longer uses; no plugin can do anything with it"
	byValue    = "takes the arguments themselves, any number of them, in place of a protobuf message"
)

// Differences are all of them: what is not in the list is the same.
var Differences = []Difference{
	{"pdk.Init", "makes a PDK from a connection; here the server makes it, for each event"},
	{"pdk/bridge.New", "makes a bridge from a connection; here the server makes it, for each event"},
	{"pdk/bridge.PdkBridge.Ask", "takes the number of a method and gives a call to add arguments to; AskValue and the like take names"},
	{"pdk/bridge.PdkBridge.AskInt", byValue},
	{"pdk/bridge.PdkBridge.AskNumber", byValue},
	{"pdk/bridge.PdkBridge.AskString", byValue},
	{"pdk/bridge.PdkBridge.AskValue", byValue},
	{"pdk/bridge.PdkBridge.Close", "closes the event's connection; here it has none, and ends when its handler returns"},
	{"pdk/bridge.StepData", noServer},
	{"pdk/bridge.UnwrapHeaders", noProtobuf},
	{"pdk/bridge.WrapByteString", noProtobuf},
	{"pdk/bridge.WrapHeaders", noProtobuf},
	{"pdk/bridge.WrapString", noProtobuf},
	{"pdk/bridge/bridgetest", "plays Kong over a connection, in protobuf messages; package test plays it without"},
	{"pdk/server.Error", noServer},
	{"pdk/server.InstanceStatus", noServer},
	{"pdk/server.PluginConfig", noServer},
	{"pdk/server.StartEventData", noServer},
	{"pdk/server.StepConsumerData", noServer},
	{"pdk/server.StepCredentialData", noServer},
	{"pdk/server.StepData", noServer},
	{"pdk/server.StepErrorData", noServer},
	{"pdk/server.StepMemoryStatsData", noServer},
	{"pdk/server.StepMultiMapData", noServer},
	{"pdk/server.StepRouteData", noServer},
	{"pdk/server.StepServiceData", noServer},
	{"pdk/test.TestEnv.Handle", noProtobuf},
	{"pdk/test.TestEnv.SubscribeStatusChange", "for go-pdk's own mock of a connection; here there is none"},
	{"pdk/server/kong_plugin_protocol", noProtobuf},
}

// A Change is a behaviour that differs while the symbol is the same.
type Change struct {
	What string
	Now  string
}

// Changes are what a plugin may notice.
var Changes = []Change{
	{"Lua gives nil and an error (Client.GetProtocol, Client.LoadConsumer, Service.SetUpstream)",
		"the error; go-pdk gives the zero value and no error"},
	{"a call whose Lua method raises, and every call after it", "the text of Lua; go-pdk gives EOF"},
	{"a write (a method that gives nothing)",
		"travels with the next message: Kong's refusal ends the event with 500 and a line in the log, as in go-pdk, and the write itself gives no error"},
	{"Response.Exit and ExitStatus", "return at once; go-pdk's wait until Kong hangs up"},
	{"PDK calls from several goroutines", "are safe, one after the other; in go-pdk they mix up the connection"},
	{"PDK calls after the handler's end", "give an error that wraps bridge.ErrOver, and never reach another request"},
	{"strings that are not UTF-8", "pass both ways; go-pdk gives an error"},
	{"Ctx.SetShared and Nginx.SetCtx with nil or false",
		"set nil and false; through go-pdk Lua gets the text \"NULL_VALUE\" and nil"},
	{"integers of 8 and 16 bits in Ctx.SetShared, Nginx.SetCtx and Log", "are taken"},
	{"an error as an argument of Log", "is logged as its text; go-pdk logs nothing and gives an error"},
	{"Log lines", "are attributed to the plugin, and dropped in Go where Kong's log level is lower"},
	{"ServiceResponse.GetHeaders in the response phase", "the service's headers; go-pdk gives an empty map"},
	{"handlers of the log phase", "may call every getter but Nginx.GetVar and Nginx.GetTLS1VersionStr; with go-pdk most calls fail"},
	{"package test: a call that Kong would refuse, for its phase or its arguments", "fails the test and ends the event with 500"},
	{"package test: Log after the plugin has answered the request", "runs, as in Kong"},
	{"package test: IP.IsTrusted, client, consumer, route and so on", "are fields of TestEnv.Kong, with go-pdk's answers at first"},
	{"package test: Client.LoadConsumer of another consumer than the one it knows", "the zero value; go-pdk's gives that one"},
	{"package test: ServiceRequest.SetRawBody", "changes ServiceReq; go-pdk's changes ServiceRes"},
	{"package test: Service, Nginx, Log.Serialize, Request.GetUriCaptures", "work; go-pdk's do nothing or fail"},
	{"what -dump prints", "the protocol MsgPack:1, and in the schema what the constructor sets, as defaults, and fields of more types: [SCHEMA.md](../SCHEMA.md)"},
	{"a panic of a handler", "fails its request; with go-pdk it ends the process"},
	{"a method that is named like a handler and has another type", "is an error at the start; with go-pdk Kong calls it for ever"},
}
