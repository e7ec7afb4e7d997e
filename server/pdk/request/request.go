// Package request reads the client's request.
package request

import (
	"errors"
	"io/fs"

	"github.com/kongring/kongring/server/pdk/bridge"
	"github.com/kongring/kongring/server/wire"
)

// Request is kong.Request of a handler.
type Request struct{ bridge.PdkBridge }

// New gives the Request of the event that b belongs to.
func New(b bridge.PdkBridge) Request { return Request{b} }

// GetScheme gives the scheme of the request's URL, "http" or "https".
// Phases: rewrite, access, response, log.
func (r Request) GetScheme() (s string, err error) {
	return r.Ask(wire.RequestGetScheme).ToString()
}

// GetHost gives the host of the request's URL, in lower case.
func (r Request) GetHost() (host string, err error) {
	return r.Ask(wire.RequestGetHost).ToString()
}

// GetPort gives the port that the request came in on.
func (r Request) GetPort() (int, error) {
	return r.Ask(wire.RequestGetPort).ToInt()
}

// GetForwardedScheme is GetScheme, or what X-Forwarded-Proto says if the peer is
// trusted.
func (r Request) GetForwardedScheme() (s string, err error) {
	return r.Ask(wire.RequestGetForwardedScheme).ToString()
}

// GetForwardedHost is GetHost, or what X-Forwarded-Host says if the peer is
// trusted.
func (r Request) GetForwardedHost() (host string, err error) {
	return r.Ask(wire.RequestGetForwardedHost).ToString()
}

// GetForwardedPath is GetPath, or what X-Forwarded-Path says if the peer is
// trusted.
func (r Request) GetForwardedPath() (string, error) {
	return r.Ask(wire.RequestGetForwardedPath).ToString()
}

// GetForwardedPrefix gives the part of the path that Kong takes off before the
// request goes to the service, or what X-Forwarded-Prefix says if the peer is
// trusted; "" if there is none.
func (r Request) GetForwardedPrefix() (string, error) {
	return r.Ask(wire.RequestGetForwardedPrefix).ToString()
}

// GetForwardedPort is GetPort, or what X-Forwarded-Port says if the peer is
// trusted.
func (r Request) GetForwardedPort() (int, error) {
	return r.Ask(wire.RequestGetForwardedPort).ToInt()
}

// GetHttpVersion gives the version of HTTP as a number, such as 1.1.
func (r Request) GetHttpVersion() (version float64, err error) {
	return r.Ask(wire.RequestGetHTTPVersion).ToNumber()
}

// GetMethod gives the request's method in upper case.
func (r Request) GetMethod() (m string, err error) {
	return r.Ask(wire.RequestGetMethod).ToString()
}

// GetPath gives the normalised path, without the query.
func (r Request) GetPath() (string, error) {
	return r.Ask(wire.RequestGetPath).ToString()
}

// GetRawPath gives the path as the client sent it, without the query.
func (r Request) GetRawPath() (string, error) {
	return r.Ask(wire.RequestGetRawPath).ToString()
}

// GetStartTime gives the time at which the request began, in milliseconds since
// 1970.
func (r Request) GetStartTime() (ms int, err error) {
	return r.Ask(wire.RequestGetStartTime).ToInt()
}

// GetPathWithQuery gives path and query as the client sent them.
func (r Request) GetPathWithQuery() (string, error) {
	return r.Ask(wire.RequestGetPathWithQuery).ToString()
}

// GetRawQuery gives the query as the client sent it, without the question mark.
func (r Request) GetRawQuery() (string, error) {
	return r.Ask(wire.RequestGetRawQuery).ToString()
}

// GetQueryArg gives the first value of a query argument: "" if there is none or
// if it has no value.
func (r Request) GetQueryArg(k string) (string, error) {
	return r.Ask(wire.RequestGetQueryArg).String(k).ToString()
}

// GetQuery gives up to max_args query arguments: from 1 to 1000, -1 for 100.
func (r Request) GetQuery(max_args int) (map[string][]string, error) {
	return r.Ask(wire.RequestGetQuery).Limit(max_args).ToHeaders()
}

// GetHeader gives the first value of a header, "" if there is none. Case does
// not matter, and "_" is the same as "-".
func (r Request) GetHeader(k string) (string, error) {
	return r.Ask(wire.RequestGetHeader).String(k).ToString()
}

// GetHeaders gives up to max_headers headers by name in lower case: from 1 to
// 1000, -1 for 100.
func (r Request) GetHeaders(max_headers int) (map[string][]string, error) {
	return r.Ask(wire.RequestGetHeaders).Limit(max_headers).ToHeaders()
}

// GetRawBody gives the request's body. One that nginx spooled to a file is read
// from there. Where the server may not, as another user's, or does not see the
// file, Kong is asked for it, up to 64 MiB, as by GetRawBodyUpTo.
// Phases: rewrite, access, response.
func (r Request) GetRawBody() ([]byte, error) {
	body, err := r.Ask(wire.RequestGetRawBody).ToBody()
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) {
		return r.GetRawBodyUpTo(maxAsked)
	}
	return body, err
}

// maxAsked is the longest body that GetRawBody asks Kong for. What is longer has
// no place in a message, and is not to fill the worker's memory.
const maxAsked = 64 << 20

// GetRawBodyUpTo is GetRawBody, where Kong itself reads a body that nginx
// spooled: one of up to max_file_size bytes, 0 for any size; a longer one is an
// error. The worker does nothing else while it reads. Kong has it since 3.9;
// before, each spooled body is an error.
func (r Request) GetRawBodyUpTo(max_file_size int) ([]byte, error) {
	return r.Ask(wire.RequestGetRawBody).Int(max_file_size).ToBody()
}

// BodyOptions say how GetBody parses. The zero value stands for Kong's defaults.
type BodyOptions struct {
	MimeType    string // "": the request's Content-Type
	MaxArgs     int    // arguments of a form, from 1 to 1000; 0: 100
	MaxFileSize int    // as in GetRawBodyUpTo, of Kong 3.9; 0: a spooled body is an error
}

// GetBody gives the request's body as a Lua plugin sees it, of the types nil,
// bool, float64, string, []interface{} and map[string]interface{}, and the MIME
// type that it was parsed as. Kong parses application/x-www-form-urlencoded,
// multipart/form-data and application/json; another type is an error.
// Phases: rewrite, access, response.
func (r Request) GetBody(o BodyOptions) (body interface{}, mimetype string, err error) {
	return r.Ask(wire.RequestGetBody).Text(o.MimeType).Number(o.MaxArgs).Number(o.MaxFileSize).ToParsed()
}

// GetUriCaptures gives what the route's path captured: the unnamed from group 1
// on, and the named.
func (r Request) GetUriCaptures() ([][]byte, map[string][]byte, error) {
	return r.Ask(wire.RequestGetURICaptures).ToCaptures()
}
