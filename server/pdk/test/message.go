package test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Request is what the client sends, or what goes to the service.
type Request struct {
	Method  string
	Url     string
	Headers http.Header
	Body    []byte
}

// methods are those that nginx knows.
var methods = []string{"GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "MKCOL", "COPY", "MOVE", "PROPFIND",
	"PROPPATCH", "LOCK", "UNLOCK", "PATCH", "TRACE"}

// Validate checks the request and gives its headers their canonical names. GET
// has no body; POST, PUT and PATCH have one.
func (req *Request) Validate() error {
	if _, err := url.Parse(req.Url); err != nil {
		return err
	}
	headers := http.Header{}
	replace(headers, req.Headers)
	req.Headers = headers
	if !slices.Contains(methods, req.Method) {
		return fmt.Errorf("method %q: want one of %v", req.Method, methods)
	}
	switch req.Method {
	case http.MethodGet:
		if len(req.Body) > 0 {
			return fmt.Errorf("GET with a body of %d bytes", len(req.Body))
		}
	case http.MethodPost, http.MethodPut, http.MethodPatch:
		if len(req.Body) == 0 {
			return fmt.Errorf("%s without a body", req.Method)
		}
	}
	return nil
}

// ToResponse is the answer of a service that sends back what it gets.
func (req Request) ToResponse() Response {
	return Response{
		Status: http.StatusOK, Message: http.StatusText(http.StatusOK), Headers: req.Headers.Clone(), Body: req.Body,
	}
}

func (req Request) clone() Request {
	req.Headers = req.Headers.Clone()
	req.Body = slices.Clone(req.Body)
	return req
}

// url gives the parts of Url, which Validate has seen.
func (req Request) url() *url.URL {
	u, err := url.Parse(req.Url)
	if err != nil {
		return &url.URL{} // a test made it so
	}
	return u
}

// change changes the parts of Url.
func (req *Request) change(f func(*url.URL)) {
	u := req.url()
	f(u)
	req.Url = u.String()
}

// Response is what the service answers, or what the client gets.
type Response struct {
	Status  int
	Message string
	Headers http.Header
	Body    []byte
}

// take overwrites what the other response has.
func (res *Response) take(other Response) {
	if other.Status != 0 {
		res.Status = other.Status
	}
	if other.Message != "" {
		res.Message = other.Message
	}
	if len(other.Body) > 0 {
		res.Body = other.Body
	}
	if res.Headers == nil {
		res.Headers = http.Header{}
	}
	replace(res.Headers, other.Headers)
}

// replace gives headers new values; an empty list takes one out.
func replace(h http.Header, by map[string][]string) {
	for name, values := range by {
		h.Del(name)
		for _, v := range values {
			h.Add(name, v)
		}
	}
}

// LowercaseHeaders gives the headers by their names in lower case, as Kong does.
func LowercaseHeaders(h http.Header) http.Header {
	out := make(http.Header, len(h))
	for name, values := range h {
		out[strings.ToLower(name)] = values
	}
	return out
}

// find gives the values of a header in any spelling, with "_" or "-".
func find(h http.Header, name string) []string {
	return h.Values(strings.ReplaceAll(name, "_", "-"))
}

// first gives the first of values, nil if there is none.
func first(values []string) interface{} {
	if len(values) == 0 {
		return nil
	}
	return values[0]
}
