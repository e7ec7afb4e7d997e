package test

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/kongring/kongring/server/wire"
)

// serviceRequestAnswers change ServiceReq.
var serviceRequestAnswers = map[wire.MethodID]answer{
	wire.ServiceRequestSetScheme: func(e *TestEnv, a args) (interface{}, error) {
		if s := a.text(0); s != "http" && s != "https" {
			return nil, fmt.Errorf("scheme %q: want http or https", s)
		}
		e.ServiceReq.change(func(u *url.URL) { u.Scheme = a.text(0) })
		return nil, nil
	},
	wire.ServiceRequestSetPath: func(e *TestEnv, a args) (interface{}, error) {
		if !strings.HasPrefix(a.text(0), "/") {
			return nil, fmt.Errorf("path %q: want one that starts with /", a.text(0))
		}
		e.ServiceReq.change(func(u *url.URL) { u.Path, u.RawPath = a.text(0), "" })
		return nil, nil
	},
	wire.ServiceRequestSetRawQuery: func(e *TestEnv, a args) (interface{}, error) {
		e.ServiceReq.change(func(u *url.URL) { u.RawQuery = a.text(0) })
		return nil, nil
	},
	wire.ServiceRequestSetQuery: func(e *TestEnv, a args) (interface{}, error) {
		e.ServiceReq.change(func(u *url.URL) { u.RawQuery = url.Values(a.headers(0)).Encode() })
		return nil, nil
	},
	wire.ServiceRequestClearQueryArg: func(e *TestEnv, a args) (interface{}, error) {
		e.ServiceReq.change(func(u *url.URL) {
			kept := slices.DeleteFunc(strings.Split(u.RawQuery, "&"), func(arg string) bool {
				name, _, _ := strings.Cut(arg, "=")
				name, err := url.QueryUnescape(name)
				return err == nil && name == a.text(0)
			})
			u.RawQuery = strings.Join(kept, "&")
		})
		return nil, nil
	},
	wire.ServiceRequestSetMethod: func(e *TestEnv, a args) (interface{}, error) {
		if !slices.Contains(methods, a.text(0)) {
			return nil, fmt.Errorf("method %q: want one of %v", a.text(0), methods)
		}
		e.ServiceReq.Method = a.text(0)
		return nil, nil
	},
	wire.ServiceRequestSetHeader: func(e *TestEnv, a args) (interface{}, error) {
		replace(e.ServiceReq.Headers, map[string][]string{a.text(0): a.list(1)})
		return nil, nil
	},
	wire.ServiceRequestAddHeader: func(e *TestEnv, a args) (interface{}, error) {
		for _, v := range a.list(1) {
			e.ServiceReq.Headers.Add(a.text(0), v)
		}
		return nil, nil
	},
	wire.ServiceRequestClearHeader: func(e *TestEnv, a args) (interface{}, error) {
		e.ServiceReq.Headers.Del(a.text(0))
		return nil, nil
	},
	wire.ServiceRequestSetHeaders: func(e *TestEnv, a args) (interface{}, error) {
		replace(e.ServiceReq.Headers, a.headers(0))
		return nil, nil
	},
	wire.ServiceRequestSetRawBody: func(e *TestEnv, a args) (interface{}, error) {
		e.ServiceReq.Body = []byte(a.text(0))
		return nil, nil
	},
	wire.ServiceRequestSetBody: func(e *TestEnv, a args) (interface{}, error) {
		body, mimetype, err := format(cmp.Or(a.text(1), e.ServiceReq.Headers.Get("Content-Type")), a.table(0))
		if err != nil {
			return nil, said{err}
		}
		e.ServiceReq.Body = body
		e.ServiceReq.Headers.Set("Content-Type", mimetype)
		return true, nil
	},
	wire.ServiceRequestEnableBuffering: func(e *TestEnv, _ args) (interface{}, error) {
		e.Kong.Buffering = true
		return nil, nil
	},
}
