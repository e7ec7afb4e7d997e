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

// SetScheme sets the scheme of the request to the service: "http" or "https".
// Phases of all methods: rewrite, access.
func (r Request) SetScheme(scheme string) error {
	return r.Ask(wire.ServiceRequestSetScheme).String(scheme).Done()
}

// SetPath sets the path, which starts with "/" and has no query. Characters that
// a URL does not allow are encoded.
func (r Request) SetPath(path string) error {
	return r.Ask(wire.ServiceRequestSetPath).String(path).Done()
}

// SetRawQuery sets the query as it is, without the question mark.
func (r Request) SetRawQuery(query string) error {
	return r.Ask(wire.ServiceRequestSetRawQuery).String(query).Done()
}

// SetMethod sets the method: one of those that nginx knows, in upper case.
func (r Request) SetMethod(method string) error {
	return r.Ask(wire.ServiceRequestSetMethod).String(method).Done()
}

// SetQuery sets the query from its arguments, which are encoded and sorted.
func (r Request) SetQuery(query map[string][]string) error {
	return r.Ask(wire.ServiceRequestSetQuery).Headers(query).Done()
}

// ClearQueryArg takes an argument out of the query, with all its values.
func (r Request) ClearQueryArg(name string) error {
	return r.Ask(wire.ServiceRequestClearQueryArg).String(name).Done()
}

// SetRawBody sets the body, of any bytes, and Content-Length with it.
func (r Request) SetRawBody(body string) error {
	return r.Ask(wire.ServiceRequestSetRawBody).String(body).Done()
}

// SetBody sets the body from a table that Kong encodes, and the headers
// Content-Type and Content-Length with it. mimetype is
// "application/x-www-form-urlencoded", "multipart/form-data" or
// "application/json", "" for the request's Content-Type. Kong's error says that
// body does not fit mimetype. See [bridge.Call.Value] for the types of values.
func (r Request) SetBody(body map[string]interface{}, mimetype string) error {
	return r.Ask(wire.ServiceRequestSetBody).Value(body).Text(mimetype).Checked()
}

// EnableBuffering makes Kong take in the service's whole response before any of
// it is sent on, so that ServiceResponse.GetRawBody works.
func (r Request) EnableBuffering() error {
	return r.Ask(wire.ServiceRequestEnableBuffering).Done()
}

// SetHeader sets a header of the request to the service, whatever its values
// were. The pseudo-header ":authority" is ignored: Kong sets it for gRPC alone.
func (r Request) SetHeader(name string, value string) error {
	return r.Ask(wire.ServiceRequestSetHeader).String(name).String(value).Done()
}

// SetHeaderValues sets a header that stands in the request several times;
// without values it clears it.
func (r Request) SetHeaderValues(name string, values ...string) error {
	return r.Ask(wire.ServiceRequestSetHeader).String(name).Strings(values).Done()
}

// AddHeaderValues adds several values to a header of the request to the service,
// each with a call of its own: Kong would send "table: 0x..." for a list.
func (r Request) AddHeaderValues(name string, values ...string) error {
	for _, value := range values {
		if err := r.AddHeader(name, value); err != nil {
			return err
		}
	}
	return nil
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
