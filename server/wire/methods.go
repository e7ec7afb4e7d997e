package wire

// MethodID is a PDK method on the wire: its row in [Methods]. Rows are only
// added at the end; a changed or removed row is a new [Version].
type MethodID uint16

// Result says how the worker turns what a Lua method gave into a message.
type Result string

// Kinds of result. Nil is sent as nil by all but the last two.
const (
	ResultNone     Result = "none"     // nothing is read from the method
	ResultValue    Result = "value"    // the first value as it is
	ResultMultimap Result = "multimap" // map of name to one value or several: each becomes a list of strings
	ResultBody     Result = "body"     // a body: bytes, or the name of the file it was spooled to
	ResultCaptures Result = "captures" // URI captures: list of the unnamed from 1 on, map of the named
	ResultChecked  Result = "checked"  // the first value; a nil with an error behind it is that error
	ResultParsed   Result = "parsed"   // a parsed body with its MIME type, or an error likewise
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
	ClassChecked               // a write that says whether it worked: asked every time, in its turn
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
	FactIdentity   // consumer and credential
	FactShared     // kong.ctx.shared
	FactNgxCtx     // ngx.ctx
	FactPlugin     // kong.ctx.plugin
	FactRoute      // route and service
	FactSerialized // what kong.log.serialize is to give
)

// everything is what a write to ngx.ctx can change: Kong keeps its own there.
const everything = ^Facts(0)

// upstreamHeaders are the facts that a header of the request to the service can
// change: Kong reads the host and X-Forwarded-* from the same headers.
const upstreamHeaders = FactRequestHeaders | FactHost | FactForwarded

// Method is a row of the table: everything that the two languages have to
// agree on about one PDK method.
type Method struct {
	Name    string // Lua name, walked from the global kong unless the bridge has a function for it
	Go      string // methods of the PDK that call it: value of pdk.PDK, and its methods
	Result  Result
	Class   Class
	Reads   Facts
	Changes Facts
	Fold    bool // the first argument is a header's name: case does not count
	Yields  bool // may wait in Lua, or be long: never asked ahead of the plugin
	Phases  Phases
	Since   string // the first Kong that has it, where that is later than 3.4
}

// Phases is a set of phases: 1<<PhaseAccess and so on.
type Phases uint8

// The sets of phases in which Kong allows its methods, as far as plugins in Go
// have the phase. In the log phase the request is over, and during a handshake
// there is none yet: what needs its nginx variables cannot be had then.
const (
	phaseCertificate Phases = 1 << PhaseCertificate
	phaseRewrite     Phases = 1 << PhaseRewrite
	phaseAccess      Phases = 1 << PhaseAccess
	phaseResponse    Phases = 1 << PhaseResponse
	phasePreread     Phases = 1 << PhasePreread
	phaseLog         Phases = 1 << PhaseLog

	anyPhase       = livePhases | phaseCertificate | phaseLog
	livePhases     = phaseRewrite | phaseAccess | phaseResponse | phasePreread
	clientPhases   = livePhases | phaseLog
	requestPhases  = writePhases | phaseLog
	routedPhases   = phaseAccess | phaseResponse | phaseLog
	writePhases    = phaseRewrite | phaseAccess | phaseResponse
	answeredPhases = phaseResponse | phaseLog
	beforePhases   = phaseRewrite | phaseAccess
	targetPhases   = phaseAccess | phasePreread
	verifyPhases   = targetPhases | phaseRewrite
)

// Has tells whether a phase is in the set.
func (p Phases) Has(phase int) bool { return p&(1<<phase) != 0 }

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
