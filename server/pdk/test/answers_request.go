package test

import (
	"cmp"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/kongring/kongring/server/wire"
)

// requestAnswers read ClientReq.
var requestAnswers = map[wire.MethodID]answer{
	wire.RequestGetScheme: func(e *TestEnv, _ args) (interface{}, error) { return e.ClientReq.url().Scheme, nil },
	wire.RequestGetHost:   func(e *TestEnv, _ args) (interface{}, error) { return e.host(), nil },
	wire.RequestGetPort:   func(e *TestEnv, _ args) (interface{}, error) { return portOf(e.ClientReq.url()), nil },
	wire.RequestGetForwardedScheme: func(e *TestEnv, _ args) (interface{}, error) {
		return cmp.Or(strings.ToLower(e.forwarded("X-Forwarded-Proto")), e.ClientReq.url().Scheme), nil
	},
	wire.RequestGetForwardedHost: func(e *TestEnv, _ args) (interface{}, error) {
		host, _ := splitHost(e.forwarded("X-Forwarded-Host"))
		return cmp.Or(strings.ToLower(host), e.host()), nil
	},
	wire.RequestGetForwardedPort: func(e *TestEnv, _ args) (interface{}, error) {
		_, port := splitHost(e.forwarded("X-Forwarded-Host"))
		given, _ := strconv.Atoi(cmp.Or(e.forwarded("X-Forwarded-Port"), port))
		return cmp.Or(given, portOf(e.ClientReq.url())), nil
	},
	wire.RequestGetForwardedPath: func(e *TestEnv, _ args) (interface{}, error) {
		return cmp.Or(e.forwarded("X-Forwarded-Path"), e.path()), nil
	},
	wire.RequestGetForwardedPrefix: func(e *TestEnv, _ args) (interface{}, error) {
		return cmp.Or(e.forwarded("X-Forwarded-Prefix"), e.Kong.ForwardedPrefix), nil
	},
	wire.RequestGetHTTPVersion: func(*TestEnv, args) (interface{}, error) { return 1.1, nil },
	wire.RequestGetMethod:      func(e *TestEnv, _ args) (interface{}, error) { return e.ClientReq.Method, nil },
	wire.RequestGetPath:        func(e *TestEnv, _ args) (interface{}, error) { return e.path(), nil },
	wire.RequestGetRawPath: func(e *TestEnv, _ args) (interface{}, error) {
		return cmp.Or(e.ClientReq.url().EscapedPath(), "/"), nil
	},
	wire.RequestGetPathWithQuery: func(e *TestEnv, _ args) (interface{}, error) { return e.ClientReq.url().RequestURI(), nil },
	wire.RequestGetRawQuery:      func(e *TestEnv, _ args) (interface{}, error) { return e.ClientReq.url().RawQuery, nil },
	wire.RequestGetQueryArg: func(e *TestEnv, a args) (interface{}, error) {
		return first(e.ClientReq.url().Query()[a.text(0)]), nil
	},
	wire.RequestGetQuery: func(e *TestEnv, a args) (interface{}, error) {
		return upTo(a, e.ClientReq.url().Query())
	},
	wire.RequestGetHeader: func(e *TestEnv, a args) (interface{}, error) {
		return first(find(e.ClientReq.Headers, a.text(0))), nil
	},
	wire.RequestGetHeaders: func(e *TestEnv, a args) (interface{}, error) {
		return upTo(a, LowercaseHeaders(e.ClientReq.Headers))
	},
	wire.RequestGetRawBody: func(e *TestEnv, _ args) (interface{}, error) { return slices.Concat(e.ClientReq.Body), nil },
	wire.RequestGetBody: func(e *TestEnv, a args) (interface{}, error) {
		return parse(cmp.Or(a.text(0), e.ClientReq.Headers.Get("Content-Type")), e.ClientReq.Body)
	},
	wire.RequestGetURICaptures: func(e *TestEnv, _ args) (interface{}, error) {
		unnamed, named := []interface{}{}, map[string]interface{}{}
		for _, text := range e.Kong.UnnamedCaptures {
			unnamed = append(unnamed, text)
		}
		for name, text := range e.Kong.NamedCaptures {
			named[name] = text
		}
		return []interface{}{unnamed, named}, nil
	},
	wire.RequestGetStartTime: func(e *TestEnv, _ args) (interface{}, error) { return e.Kong.StartTime.UnixMilli(), nil },
}

func (e *TestEnv) host() string { return strings.ToLower(e.ClientReq.url().Hostname()) }

func (e *TestEnv) path() string { return cmp.Or(e.ClientReq.url().Path, "/") }

// forwarded gives a header that counts only from a trusted peer.
func (e *TestEnv) forwarded(name string) string {
	if !e.Kong.Trusted {
		return ""
	}
	return e.ClientReq.Headers.Get(name)
}

func splitHost(text string) (host, port string) {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return text, ""
	}
	return host, port
}

func portOf(u *url.URL) int {
	port, _ := strconv.Atoi(u.Port())
	if u.Scheme == "https" {
		return cmp.Or(port, 443)
	}
	return cmp.Or(port, 80)
}

// upTo gives as many of the values as the first argument says.
func upTo(a args, values map[string][]string) (map[string][]string, error) {
	limit, err := a.limit(0)
	if err != nil {
		return nil, err
	}
	out := map[string][]string{}
	for name, list := range values {
		if len(out) == limit {
			break
		}
		out[name] = list
	}
	return out, nil
}
