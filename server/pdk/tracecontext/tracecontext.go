// Package tracecontext reads the W3C trace context of a request: which trace it is
// part of, and what tracing systems say of it (https://www.w3.org/TR/trace-context/).
// It is for plugins that pass it on, log it, or decide by it.
package tracecontext

import (
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/kongring/kongring/server/pdk"
)

// Names of the two headers.
const (
	HeaderParent = "traceparent"
	HeaderState  = "tracestate"
)

// FlagSampled is the flag by which a caller says that it records the trace.
const FlagSampled = 0x01

// Errors of [Of] and [Parse]; they are wrapped.
var (
	ErrNone    = errors.New("no trace context")      // the request has none
	ErrInvalid = errors.New("invalid trace context") // to be treated as none
)

// Context is the trace context of a request. The zero value is none.
type Context struct {
	TraceID [16]byte // of the whole trace; not all 0
	SpanID  [8]byte  // of the caller's part; not all 0
	Flags   byte     // FlagSampled and others, as they came
	State   State
}

// Of gives the trace context of the request that a handler runs for, by the
// getter of headers, so that it comes along with events once the handler is known
// to ask. Of a header that came twice Kong gives the first. The error wraps
// ErrNone where there is no context, ErrInvalid where it makes no sense, and else
// says that the request could not be asked, as in phases that have none.
// Phases: rewrite, access, response, log.
func Of(kong *pdk.PDK) (Context, error) {
	parent, err := kong.Request.GetHeader(HeaderParent)
	if err != nil || parent == "" {
		return Context{}, errors.Join(err, ErrNone)
	}
	state, err := kong.Request.GetHeader(HeaderState)
	if err != nil {
		return Context{}, err
	}
	return Parse(parent, state)
}

// Parse reads the values of both headers. A state that makes no sense is left out,
// as the standard has it, and is no error.
func Parse(parent, state string) (Context, error) {
	if parent == "" {
		return Context{}, ErrNone
	}
	c, err := parseParent(parent)
	if err != nil {
		return Context{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	c.State, _ = ParseState(state)
	return c, nil
}

// What a parent of version 00 is: version, trace, span and flags.
const (
	parentLength = len("00-00112233445566778899aabbccddeeff-0011223344556677-01")
	traceAt      = len("00-")
	spanAt       = traceAt + 32 + len("-")
	flagsAt      = spanAt + 16 + len("-")
)

func parseParent(text string) (c Context, err error) {
	if len(text) < parentLength {
		return c, fmt.Errorf("%d characters, want %d", len(text), parentLength)
	}
	var version, flags [1]byte
	switch {
	case text[traceAt-1] != '-' || text[spanAt-1] != '-' || text[flagsAt-1] != '-':
		return c, errors.New("no dash where one has to be")
	case !unhex(version[:], text[:2]) || version[0] == 0xff:
		return c, errors.New("no version")
	case version[0] == 0 && len(text) != parentLength:
		return c, fmt.Errorf("%d characters, want %d", len(text), parentLength)
	case len(text) > parentLength && text[parentLength] != '-': // of a later version
		return c, errors.New("no dash behind the flags")
	case !unhex(c.TraceID[:], text[traceAt:spanAt-1]) || c.TraceID == [16]byte{}:
		return Context{}, errors.New("no trace id")
	case !unhex(c.SpanID[:], text[spanAt:flagsAt-1]) || c.SpanID == [8]byte{}:
		return Context{}, errors.New("no span id")
	case !unhex(flags[:], text[flagsAt:parentLength]):
		return Context{}, errors.New("no flags")
	}
	c.Flags = flags[0]
	return c, nil
}

// unhex reads digits in lower case, two for each byte.
func unhex(to []byte, text string) bool {
	for i := range len(text) {
		if c := text[i]; !('0' <= c && c <= '9' || 'a' <= c && c <= 'f') {
			return false
		}
	}
	_, err := hex.Decode(to, []byte(text))
	return err == nil
}

// IsZero tells whether there is no context.
func (c Context) IsZero() bool { return c.TraceID == [16]byte{} }

// Sampled tells whether the caller records the trace.
func (c Context) Sampled() bool { return c.Flags&FlagSampled != 0 }

// Parent gives the value of the header traceparent, in version 00.
func (c Context) Parent() string {
	return fmt.Sprintf("00-%x-%x-%02x", c.TraceID, c.SpanID, c.Flags)
}

// Child gives the context of a part of the same trace with a span of its own, for
// what that part calls.
func (c Context) Child(span [8]byte) Context {
	c.SpanID = span
	return c
}

// Pass puts the context into the request to the service, in the place of the one
// that the client sent. Phases: rewrite, access.
func (c Context) Pass(kong *pdk.PDK) error {
	if err := kong.ServiceRequest.SetHeader(HeaderParent, c.Parent()); err != nil {
		return err
	}
	if len(c.State) == 0 {
		return kong.ServiceRequest.ClearHeader(HeaderState)
	}
	return kong.ServiceRequest.SetHeader(HeaderState, c.State.String())
}
