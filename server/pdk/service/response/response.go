// Package response reads what the service answered.
package response

import (
	"github.com/kongring/kongring/server/pdk/bridge"
	"github.com/kongring/kongring/server/wire"
)

// Response is kong.ServiceResponse of a handler. Its methods may be called in
// the phases response and log.
type Response struct{ bridge.PdkBridge }

// New gives the Response of the event that b belongs to.
func New(b bridge.PdkBridge) Response { return Response{b} }

// GetStatus gives the status of the service's response, 0 if no service was
// asked.
func (r Response) GetStatus() (i int, err error) {
	return r.Ask(wire.ServiceResponseGetStatus).ToInt()
}

// GetHeaders gives up to max_headers headers of the service's response by name
// in lower case: from 1 to 1000, -1 for 100.
func (r Response) GetHeaders(max_headers int) (map[string][]string, error) {
	return r.Ask(wire.ServiceResponseGetHeaders).Limit(max_headers).ToHeaders()
}

// GetHeader gives the first value of a header of the service's response, "" if
// there is none.
func (r Response) GetHeader(name string) (string, error) {
	return r.Ask(wire.ServiceResponseGetHeader).String(name).ToString()
}

// GetRawBody gives the body of the service's response. It needs buffering: a
// plugin with a Response handler, or ServiceRequest.EnableBuffering; without it
// the call ends the event.
func (r Response) GetRawBody() ([]byte, error) {
	return r.Ask(wire.ServiceResponseGetRawBody).ToBytes()
}

// GetBody gives the body of the service's response as [request.Request.GetBody]
// gives that of the request, under the conditions of GetRawBody. mimetype stands
// for the Content-Type, "" for what the response says; max_args bounds the
// arguments of a form, from 1 to 1000, 0 for 100.
//
// [request.Request.GetBody]: https://pkg.go.dev/github.com/kongring/kongring/server/pdk/request#Request.GetBody
func (r Response) GetBody(mimetype string, max_args int) (body interface{}, actual string, err error) {
	return r.Ask(wire.ServiceResponseGetBody).Text(mimetype).Number(max_args).ToParsed()
}
