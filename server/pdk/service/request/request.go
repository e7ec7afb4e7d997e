// Package request changes the request to the service.
package request

import (
	"github.com/kongring/kongring/server/pdk/bridge"
	"github.com/kongring/kongring/server/wire"
)

// Request is kong.ServiceRequest of a handler.
type Request struct{ bridge.PdkBridge }

// New gives the Request of the event that b belongs to.
func New(b bridge.PdkBridge) Request { return Request{b} }

// SetHeader sets a header of the request to the service, whatever its values
// were. Phases: rewrite, access.
func (r Request) SetHeader(name string, value string) error {
	return r.Ask(wire.ServiceRequestSetHeader).String(name).String(value).Done()
}

// AddHeader adds a value to a header of the request to the service.
func (r Request) AddHeader(name string, value string) error {
	return r.Ask(wire.ServiceRequestAddHeader).String(name).String(value).Done()
}

// ClearHeader takes a header off the request to the service.
func (r Request) ClearHeader(name string) error {
	return r.Ask(wire.ServiceRequestClearHeader).String(name).Done()
}

// SetHeaders sets several headers of the request to the service; an empty list
// clears one.
func (r Request) SetHeaders(headers map[string][]string) error {
	return r.Ask(wire.ServiceRequestSetHeaders).Headers(headers).Done()
}
