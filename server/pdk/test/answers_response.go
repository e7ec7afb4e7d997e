package test

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/kongring/kongring/server/wire"
)

// streamStatuses are those that a connection can end with.
var streamStatuses = []int{200, 400, 403, 500, 502, 503}

// responseAnswers read and change ClientRes.
var responseAnswers = map[wire.MethodID]answer{
	wire.ResponseGetStatus: func(e *TestEnv, _ args) (interface{}, error) { return e.ClientRes.Status, nil },
	wire.ResponseGetHeader: func(e *TestEnv, a args) (interface{}, error) {
		return first(find(e.ClientRes.Headers, a.text(0))), nil
	},
	wire.ResponseGetHeaders: func(e *TestEnv, a args) (interface{}, error) {
		return upTo(a, LowercaseHeaders(e.ClientRes.Headers))
	},
	wire.ResponseGetSource: func(e *TestEnv, _ args) (interface{}, error) {
		if e.finished {
			return "exit", nil
		}
		return "service", nil
	},
	wire.ResponseSetStatus: func(e *TestEnv, a args) (interface{}, error) { return nil, e.setStatus(a, 100) },
	wire.ResponseSetHeader: func(e *TestEnv, a args) (interface{}, error) {
		replace(e.ClientRes.Headers, map[string][]string{a.text(0): a.list(1)})
		return nil, nil
	},
	wire.ResponseAddHeader: func(e *TestEnv, a args) (interface{}, error) {
		for _, v := range a.list(1) {
			e.ClientRes.Headers.Add(a.text(0), v)
		}
		return nil, nil
	},
	wire.ResponseClearHeader: func(e *TestEnv, a args) (interface{}, error) {
		e.ClientRes.Headers.Del(a.text(0))
		return nil, nil
	},
	wire.ResponseSetHeaders: func(e *TestEnv, a args) (interface{}, error) {
		replace(e.ClientRes.Headers, a.headers(0))
		return nil, nil
	},
	wire.ResponseExit: func(e *TestEnv, a args) (interface{}, error) {
		if e.phase == wire.PhasePreread && !slices.Contains(streamStatuses, a.number(0)) {
			return nil, fmt.Errorf("a connection cannot end with %d", a.number(0))
		}
		if err := e.setStatus(a, 100); err != nil {
			return nil, err
		}
		e.ClientRes.Body = []byte(a.text(1))
		replace(e.ClientRes.Headers, a.headers(2))
		return nil, nil
	},
	wire.ResponseError: func(e *TestEnv, a args) (interface{}, error) {
		if err := e.setStatus(a, 400); err != nil {
			return nil, err
		}
		e.ClientRes.Headers.Set("Content-Type", "application/json; charset=utf-8")
		replace(e.ClientRes.Headers, a.headers(2))
		e.ClientRes.Body = fmt.Appendf(nil, "{\n  \"message\":%q\n}", cmp.Or(a.text(1), http.StatusText(a.number(0))))
		return nil, nil
	},
}

func (e *TestEnv) setStatus(a args, least int) error {
	status := a.number(0)
	if status < least || status > 599 {
		return fmt.Errorf("status %d: want %d to 599", status, least)
	}
	e.ClientRes.Status = status
	return nil
}

// serviceAnswers read ServiceRes, and note where the request goes.
var serviceAnswers = map[wire.MethodID]answer{
	wire.ServiceSetUpstream: func(e *TestEnv, a args) (interface{}, error) {
		if !slices.Contains(e.Kong.Upstreams, a.text(0)) {
			return nil, said{fmt.Errorf("could not find an Upstream named '%s'", a.text(0))}
		}
		e.Kong.Upstream = a.text(0)
		return true, nil
	},
	wire.ServiceSetTarget: func(e *TestEnv, a args) (interface{}, error) {
		if port := a.number(1); port < 0 || port > 65535 {
			return nil, fmt.Errorf("port %d: want 0 to 65535", port)
		}
		e.Kong.TargetHost, e.Kong.TargetPort = a.text(0), a.number(1)
		return nil, nil
	},
	wire.ServiceSetRetries: func(e *TestEnv, a args) (interface{}, error) {
		n := a.number(0)
		if n < 0 || n > 32767 {
			return nil, fmt.Errorf("%d retries: want 0 to 32767", n)
		}
		e.Kong.Retries = &n
		return nil, nil
	},
	wire.ServiceSetTimeouts: func(e *TestEnv, a args) (interface{}, error) {
		for i := range e.Kong.Timeouts {
			ms := a.number(i)
			if ms < 1 || ms > 1<<31-2 {
				return nil, fmt.Errorf("timeout of %d ms: want 1 to 2147483646", ms)
			}
			e.Kong.Timeouts[i] = milliseconds(ms)
		}
		return nil, nil
	},
	wire.ServiceSetTLSVerify: func(e *TestEnv, a args) (interface{}, error) {
		on := a.is(0)
		e.Kong.TLSVerify = &on
		return true, nil
	},
	wire.ServiceSetTLSVerifyDepth: func(e *TestEnv, a args) (interface{}, error) {
		n := a.number(0)
		if n < 0 {
			return nil, fmt.Errorf("depth %d: want 0 or more", n)
		}
		e.Kong.TLSVerifyDepth = &n
		return true, nil
	},
	wire.ServiceResponseGetStatus: func(e *TestEnv, _ args) (interface{}, error) { return e.ServiceRes.Status, nil },
	wire.ServiceResponseGetHeader: func(e *TestEnv, a args) (interface{}, error) {
		return first(find(e.ServiceRes.Headers, a.text(0))), nil
	},
	wire.ServiceResponseGetHeaders: func(e *TestEnv, a args) (interface{}, error) {
		return upTo(a, LowercaseHeaders(e.ServiceRes.Headers))
	},
	wire.ServiceResponseGetRawBody: func(e *TestEnv, _ args) (interface{}, error) {
		return string(e.ServiceRes.Body), e.buffered()
	},
	wire.ServiceResponseGetBody: func(e *TestEnv, a args) (interface{}, error) {
		if err := e.buffered(); err != nil {
			return nil, err
		}
		return parse(cmp.Or(a.text(0), e.ServiceRes.Headers.Get("Content-Type")), e.ServiceRes.Body)
	},
}

// buffered refuses the service's body where Kong has not kept it.
func (e *TestEnv) buffered() error {
	if !e.Kong.Buffering {
		return errors.New("the body is there with buffering only: a Response handler, or ServiceRequest.EnableBuffering")
	}
	return nil
}
