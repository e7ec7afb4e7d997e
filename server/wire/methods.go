package wire

// MethodID is a PDK method on the wire: its row in [Methods]. Rows are only
// added at the end; a changed or removed row is a new [Version].
type MethodID uint16

// The methods, by package of the PDK.
const (
	_ MethodID = iota

	RequestGetScheme
	RequestGetHost
	RequestGetPort
	RequestGetForwardedScheme
	RequestGetForwardedHost
	RequestGetForwardedPort
	RequestGetHTTPVersion
	RequestGetMethod
	RequestGetPath
	RequestGetPathWithQuery
	RequestGetRawQuery
	RequestGetQueryArg
	RequestGetQuery
	RequestGetHeader
	RequestGetHeaders
	RequestGetRawBody
	RequestGetURICaptures

	ResponseGetStatus
	ResponseGetHeader
	ResponseGetHeaders
	ResponseGetSource
	ResponseSetStatus
	ResponseSetHeader
	ResponseAddHeader
	ResponseClearHeader
	ResponseSetHeaders
	ResponseExit

	ServiceRequestSetHeader
	ServiceRequestAddHeader
	ServiceRequestClearHeader
	ServiceRequestSetHeaders

	ClientGetIP
	ClientGetForwardedIP
	ClientGetPort
	ClientGetForwardedPort
	ClientGetCredential
	ClientGetConsumer
	ClientGetProtocol

	LogAlert
	LogCrit
	LogErr
	LogWarn
	LogNotice
	LogInfo
	LogDebug
	LogSerialize

	CtxSharedSet
	CtxSharedGet

	NginxGetVar
	NginxGetTLS1VersionStr
	NginxGetCtx
	NginxReqStartTime
	NginxGetSubsystem

	methodCount
)

// Result says how the worker turns what a Lua method gave into a message.
type Result string

// Kinds of result. Nil is sent as nil by each of them.
const (
	ResultNone     Result = "none"     // nothing is read from the method
	ResultValue    Result = "value"    // the first value as it is
	ResultMultimap Result = "multimap" // map of name to one value or several: each becomes a list of strings
	ResultBody     Result = "body"     // a body: bytes, or the name of the file it was spooled to
	ResultCaptures Result = "captures" // URI captures: list of the unnamed from 1 on, map of the named
)

// Method is a row of the table: everything that the two languages have to
// agree on about one PDK method.
type Method struct {
	Name   string // Lua name, walked from the global kong unless the bridge has a function for it
	Result Result
}

// Methods is the PDK by MethodID. The Lua table luabridge/kongring/methods.lua
// is generated from it.
var Methods = [methodCount]Method{
	RequestGetScheme:          {"kong.request.get_scheme", ResultValue},
	RequestGetHost:            {"kong.request.get_host", ResultValue},
	RequestGetPort:            {"kong.request.get_port", ResultValue},
	RequestGetForwardedScheme: {"kong.request.get_forwarded_scheme", ResultValue},
	RequestGetForwardedHost:   {"kong.request.get_forwarded_host", ResultValue},
	RequestGetForwardedPort:   {"kong.request.get_forwarded_port", ResultValue},
	RequestGetHTTPVersion:     {"kong.request.get_http_version", ResultValue},
	RequestGetMethod:          {"kong.request.get_method", ResultValue},
	RequestGetPath:            {"kong.request.get_path", ResultValue},
	RequestGetPathWithQuery:   {"kong.request.get_path_with_query", ResultValue},
	RequestGetRawQuery:        {"kong.request.get_raw_query", ResultValue},
	RequestGetQueryArg:        {"kong.request.get_query_arg", ResultValue},
	RequestGetQuery:           {"kong.request.get_query", ResultMultimap},
	RequestGetHeader:          {"kong.request.get_header", ResultValue},
	RequestGetHeaders:         {"kong.request.get_headers", ResultMultimap},
	RequestGetRawBody:         {"kong.request.get_raw_body", ResultBody},
	RequestGetURICaptures:     {"kong.request.get_uri_captures", ResultCaptures},

	ResponseGetStatus:   {"kong.response.get_status", ResultValue},
	ResponseGetHeader:   {"kong.response.get_header", ResultValue},
	ResponseGetHeaders:  {"kong.response.get_headers", ResultMultimap},
	ResponseGetSource:   {"kong.response.get_source", ResultValue},
	ResponseSetStatus:   {"kong.response.set_status", ResultNone},
	ResponseSetHeader:   {"kong.response.set_header", ResultNone},
	ResponseAddHeader:   {"kong.response.add_header", ResultNone},
	ResponseClearHeader: {"kong.response.clear_header", ResultNone},
	ResponseSetHeaders:  {"kong.response.set_headers", ResultNone},
	ResponseExit:        {"kong.response.exit", ResultNone},

	ServiceRequestSetHeader:   {"kong.service.request.set_header", ResultNone},
	ServiceRequestAddHeader:   {"kong.service.request.add_header", ResultNone},
	ServiceRequestClearHeader: {"kong.service.request.clear_header", ResultNone},
	ServiceRequestSetHeaders:  {"kong.service.request.set_headers", ResultNone},

	ClientGetIP:            {"kong.client.get_ip", ResultValue},
	ClientGetForwardedIP:   {"kong.client.get_forwarded_ip", ResultValue},
	ClientGetPort:          {"kong.client.get_port", ResultValue},
	ClientGetForwardedPort: {"kong.client.get_forwarded_port", ResultValue},
	ClientGetCredential:    {"kong.client.get_credential", ResultValue},
	ClientGetConsumer:      {"kong.client.get_consumer", ResultValue},
	ClientGetProtocol:      {"kong.client.get_protocol", ResultValue},

	LogAlert:     {"kong.log.alert", ResultNone},
	LogCrit:      {"kong.log.crit", ResultNone},
	LogErr:       {"kong.log.err", ResultNone},
	LogWarn:      {"kong.log.warn", ResultNone},
	LogNotice:    {"kong.log.notice", ResultNone},
	LogInfo:      {"kong.log.info", ResultNone},
	LogDebug:     {"kong.log.debug", ResultNone},
	LogSerialize: {"kong.log.serialize", ResultValue},

	CtxSharedSet: {"kong.ctx.shared.set", ResultNone},
	CtxSharedGet: {"kong.ctx.shared.get", ResultValue},

	NginxGetVar:            {"kong.nginx.get_var", ResultValue},
	NginxGetTLS1VersionStr: {"kong.nginx.get_tls1_version_str", ResultValue},
	NginxGetCtx:            {"kong.nginx.get_ctx", ResultValue},
	NginxReqStartTime:      {"kong.nginx.req_start_time", ResultValue},
	NginxGetSubsystem:      {"kong.nginx.get_subsystem", ResultValue},
}

// String gives the Lua name of the method.
func (m MethodID) String() string {
	if m == 0 || m >= methodCount {
		return "unknown method"
	}
	return Methods[m].Name
}
