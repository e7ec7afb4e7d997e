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

// Class says how long what a method gives stays true, and with it who has to be
// asked.
type Class uint8

// Classes of methods.
const (
	ClassConstant Class = iota // for the process: asked once in a session
	ClassRequest               // for the request: asked once in an event
	ClassStable                // in an event, until one of its own writes changes it
	ClassDynamic               // asked every time
	ClassPosted                // gives nothing: rides with the next message
	ClassTerminal              // ends the event and never returns
)

// Facts are parts of a request's state, as a set: what a getter reads, what a
// write may change. A write makes the event forget the values that read what it
// changes.
type Facts uint32

// The facts.
const (
	FactHost Facts = 1 << iota
	FactForwarded
	FactMethod
	FactQuery
	FactRequestHeaders
	FactRequestBody
	FactStatus
	FactResponseHeaders
	FactIdentity // consumer and credential
	FactShared   // kong.ctx.shared
	FactNgxCtx   // ngx.ctx
)

// upstreamHeaders are the facts that a header of the request to the service can
// change: Kong reads the host and X-Forwarded-* from the same headers.
const upstreamHeaders = FactRequestHeaders | FactHost | FactForwarded

// Method is a row of the table: everything that the two languages have to
// agree on about one PDK method.
type Method struct {
	Name    string // Lua name, walked from the global kong unless the bridge has a function for it
	Result  Result
	Class   Class
	Reads   Facts
	Changes Facts
	Fold    bool // the first argument is a header's name: case does not count
	Yields  bool // may wait in Lua: never asked ahead of the plugin
}

// Methods is the PDK by MethodID. The Lua table luabridge/kongring/methods.lua
// is generated from it.
var Methods = [methodCount]Method{
	RequestGetScheme:          {Name: "kong.request.get_scheme", Result: ResultValue, Class: ClassRequest},
	RequestGetHost:            {Name: "kong.request.get_host", Result: ResultValue, Class: ClassStable, Reads: FactHost},
	RequestGetPort:            {Name: "kong.request.get_port", Result: ResultValue, Class: ClassRequest},
	RequestGetForwardedScheme: {Name: "kong.request.get_forwarded_scheme", Result: ResultValue, Class: ClassStable, Reads: FactForwarded},
	RequestGetForwardedHost:   {Name: "kong.request.get_forwarded_host", Result: ResultValue, Class: ClassStable, Reads: FactForwarded | FactHost},
	RequestGetForwardedPort:   {Name: "kong.request.get_forwarded_port", Result: ResultValue, Class: ClassStable, Reads: FactForwarded},
	RequestGetHTTPVersion:     {Name: "kong.request.get_http_version", Result: ResultValue, Class: ClassRequest},
	RequestGetMethod:          {Name: "kong.request.get_method", Result: ResultValue, Class: ClassStable, Reads: FactMethod},
	RequestGetPath:            {Name: "kong.request.get_path", Result: ResultValue, Class: ClassRequest},
	RequestGetPathWithQuery:   {Name: "kong.request.get_path_with_query", Result: ResultValue, Class: ClassRequest},
	RequestGetRawQuery:        {Name: "kong.request.get_raw_query", Result: ResultValue, Class: ClassStable, Reads: FactQuery},
	RequestGetQueryArg:        {Name: "kong.request.get_query_arg", Result: ResultValue, Class: ClassStable, Reads: FactQuery},
	RequestGetQuery:           {Name: "kong.request.get_query", Result: ResultMultimap, Class: ClassStable, Reads: FactQuery},
	RequestGetHeader:          {Name: "kong.request.get_header", Result: ResultValue, Class: ClassStable, Reads: FactRequestHeaders, Fold: true},
	RequestGetHeaders:         {Name: "kong.request.get_headers", Result: ResultMultimap, Class: ClassStable, Reads: FactRequestHeaders},
	RequestGetRawBody:         {Name: "kong.request.get_raw_body", Result: ResultBody, Class: ClassStable, Reads: FactRequestBody, Yields: true},
	RequestGetURICaptures:     {Name: "kong.request.get_uri_captures", Result: ResultCaptures, Class: ClassRequest},

	ResponseGetStatus:   {Name: "kong.response.get_status", Result: ResultValue, Class: ClassStable, Reads: FactStatus},
	ResponseGetHeader:   {Name: "kong.response.get_header", Result: ResultValue, Class: ClassStable, Reads: FactResponseHeaders, Fold: true},
	ResponseGetHeaders:  {Name: "kong.response.get_headers", Result: ResultMultimap, Class: ClassStable, Reads: FactResponseHeaders},
	ResponseGetSource:   {Name: "kong.response.get_source", Result: ResultValue, Class: ClassStable, Reads: FactStatus},
	ResponseSetStatus:   {Name: "kong.response.set_status", Result: ResultNone, Class: ClassPosted, Changes: FactStatus},
	ResponseSetHeader:   {Name: "kong.response.set_header", Result: ResultNone, Class: ClassPosted, Changes: FactResponseHeaders},
	ResponseAddHeader:   {Name: "kong.response.add_header", Result: ResultNone, Class: ClassPosted, Changes: FactResponseHeaders},
	ResponseClearHeader: {Name: "kong.response.clear_header", Result: ResultNone, Class: ClassPosted, Changes: FactResponseHeaders},
	ResponseSetHeaders:  {Name: "kong.response.set_headers", Result: ResultNone, Class: ClassPosted, Changes: FactResponseHeaders},
	ResponseExit:        {Name: "kong.response.exit", Result: ResultNone, Class: ClassTerminal},

	ServiceRequestSetHeader:   {Name: "kong.service.request.set_header", Result: ResultNone, Class: ClassPosted, Changes: upstreamHeaders},
	ServiceRequestAddHeader:   {Name: "kong.service.request.add_header", Result: ResultNone, Class: ClassPosted, Changes: upstreamHeaders},
	ServiceRequestClearHeader: {Name: "kong.service.request.clear_header", Result: ResultNone, Class: ClassPosted, Changes: upstreamHeaders},
	ServiceRequestSetHeaders:  {Name: "kong.service.request.set_headers", Result: ResultNone, Class: ClassPosted, Changes: upstreamHeaders},

	ClientGetIP:            {Name: "kong.client.get_ip", Result: ResultValue, Class: ClassRequest},
	ClientGetForwardedIP:   {Name: "kong.client.get_forwarded_ip", Result: ResultValue, Class: ClassRequest},
	ClientGetPort:          {Name: "kong.client.get_port", Result: ResultValue, Class: ClassRequest},
	ClientGetForwardedPort: {Name: "kong.client.get_forwarded_port", Result: ResultValue, Class: ClassRequest},
	ClientGetCredential:    {Name: "kong.client.get_credential", Result: ResultValue, Class: ClassStable, Reads: FactIdentity},
	ClientGetConsumer:      {Name: "kong.client.get_consumer", Result: ResultValue, Class: ClassStable, Reads: FactIdentity},
	ClientGetProtocol:      {Name: "kong.client.get_protocol", Result: ResultValue, Class: ClassStable, Reads: FactForwarded},

	LogAlert:     {Name: "kong.log.alert", Result: ResultNone, Class: ClassPosted},
	LogCrit:      {Name: "kong.log.crit", Result: ResultNone, Class: ClassPosted},
	LogErr:       {Name: "kong.log.err", Result: ResultNone, Class: ClassPosted},
	LogWarn:      {Name: "kong.log.warn", Result: ResultNone, Class: ClassPosted},
	LogNotice:    {Name: "kong.log.notice", Result: ResultNone, Class: ClassPosted},
	LogInfo:      {Name: "kong.log.info", Result: ResultNone, Class: ClassPosted},
	LogDebug:     {Name: "kong.log.debug", Result: ResultNone, Class: ClassPosted},
	LogSerialize: {Name: "kong.log.serialize", Result: ResultValue, Class: ClassStable, Reads: FactShared | FactNgxCtx | FactStatus},

	CtxSharedSet: {Name: "kong.ctx.shared.set", Result: ResultNone, Class: ClassPosted, Changes: FactShared | FactNgxCtx},
	CtxSharedGet: {Name: "kong.ctx.shared.get", Result: ResultValue, Class: ClassStable, Reads: FactShared},

	NginxGetVar:            {Name: "kong.nginx.get_var", Result: ResultValue, Class: ClassDynamic},
	NginxGetTLS1VersionStr: {Name: "kong.nginx.get_tls1_version_str", Result: ResultValue, Class: ClassRequest},
	NginxGetCtx:            {Name: "kong.nginx.get_ctx", Result: ResultValue, Class: ClassStable, Reads: FactNgxCtx},
	NginxReqStartTime:      {Name: "kong.nginx.req_start_time", Result: ResultValue, Class: ClassRequest},
	NginxGetSubsystem:      {Name: "kong.nginx.get_subsystem", Result: ResultValue, Class: ClassConstant},
}

// String gives the Lua name of the method.
func (m MethodID) String() string {
	if m == 0 || m >= methodCount {
		return "unknown method"
	}
	return Methods[m].Name
}

// Prefetchable tells whether the worker may evaluate the method ahead of the
// plugin.
func (m Method) Prefetchable() bool {
	switch m.Class {
	case ClassConstant, ClassRequest, ClassStable:
		return !m.Yields
	}
	return false
}
