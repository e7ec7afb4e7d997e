// Package response reads and changes the response to the client.
package response

import (
	"github.com/kongring/kongring/server/pdk/bridge"
	"github.com/kongring/kongring/server/wire"
)

// Response is kong.Response of a handler.
type Response struct{ bridge.PdkBridge }

// New gives the Response of the event that b belongs to.
func New(b bridge.PdkBridge) Response { return Response{b} }

// GetStatus gives the status that the client will get.
// Phases: response, log.
func (r Response) GetStatus() (int, error) {
	return r.Ask(wire.ResponseGetStatus).ToInt()
}

// GetHeader gives the first value of a header of the response to the client, ""
// if there is none.
func (r Response) GetHeader(name string) (string, error) {
	return r.Ask(wire.ResponseGetHeader).String(name).ToString()
}

// GetHeaders gives up to max_headers headers of the response by name in lower
// case: from 1 to 1000, -1 for 100.
func (r Response) GetHeaders(max_headers int) (res map[string][]string, err error) {
	return r.Ask(wire.ResponseGetHeaders).Limit(max_headers).ToHeaders()
}

// GetSource tells where the response comes from: "service", "exit" or "error".
func (r Response) GetSource() (string, error) {
	return r.Ask(wire.ResponseGetSource).ToString()
}

// SetStatus sets the status that the client will get, from 100 to 599.
// Phases of the setters: rewrite, access, response.
func (r Response) SetStatus(status int) error {
	return r.Ask(wire.ResponseSetStatus).Int(status).Done()
}

// SetHeader sets a header of the response, whatever its values were.
func (r Response) SetHeader(k string, v string) error {
	return r.Ask(wire.ResponseSetHeader).String(k).String(v).Done()
}

// SetHeaderValues sets a header of the response that stands there several times;
// without values it clears it.
func (r Response) SetHeaderValues(k string, values ...string) error {
	return r.Ask(wire.ResponseSetHeader).String(k).Strings(values).Done()
}

// AddHeaderValues adds several values to a header of the response.
func (r Response) AddHeaderValues(k string, values ...string) error {
	return r.Ask(wire.ResponseAddHeader).String(k).Strings(values).Done()
}

// AddHeader adds a value to a header of the response.
func (r Response) AddHeader(k string, v string) error {
	return r.Ask(wire.ResponseAddHeader).String(k).String(v).Done()
}

// ClearHeader takes a header off the response.
func (r Response) ClearHeader(k string) error {
	return r.Ask(wire.ResponseClearHeader).String(k).Done()
}

// SetHeaders sets several headers of the response; an empty list clears one.
func (r Response) SetHeaders(headers map[string][]string) error {
	return r.Ask(wire.ResponseSetHeaders).Headers(headers).Done()
}

// Exit answers the client and ends the event: later plugins do not run, and
// PDK calls after it give an error that wraps [bridge.ErrOver]. It returns at
// once; the handler should return too. Phases of this and the next: rewrite,
// access, response; and preread, where status is 200, 400, 403, 500, 502 or 503,
// the client is sent the body of 200 alone, and there are no headers.
func (r Response) Exit(status int, body []byte, headers map[string][]string) {
	c := r.Ask(wire.ResponseExit).Int(status).Bytes(body)
	if headers != nil {
		c.Headers(headers)
	}
	c.Exit()
}

// ExitStatus is Exit without body and headers.
func (r Response) ExitStatus(status int) {
	r.Ask(wire.ResponseExit).Int(status).Exit()
}

// Error answers the client with an error, in the form that its Accept header
// asks for, and ends the event as Exit does. status is from 400 to 599; message
// is the text, "" for the usual words of the status; headers may be nil.
// Phases: rewrite, access, response.
func (r Response) Error(status int, message string, headers map[string][]string) {
	c := r.Ask(wire.ResponseError).Int(status).Text(message)
	if headers != nil {
		c.Headers(headers)
	}
	c.Exit()
}
