package server

import (
	"cmp"
	"fmt"

	"github.com/kongring/kongring/server/pdk"
	"github.com/kongring/kongring/server/wire"
)

// panicText says what a handler panicked with. recover gives nil where it ended
// its goroutine.
func panicText(v any) string {
	if v == nil {
		return "the handler called runtime.Goexit"
	}
	return fmt.Sprint(v)
}

// whereabouts asks Kong what a line of the log about an event is found by: the
// route and the request's id, as far as the phase has them and Kong still answers.
// It is for events that failed: it takes round trips.
func whereabouts(kong *pdk.PDK, phase uint8) (with []any) {
	has := func(id wire.MethodID) bool { return wire.Methods[id].Phases.Has(int(phase)) }
	if has(wire.RouterGetRoute) {
		if route, err := kong.Router.GetRoute(); err != nil {
			return with // it has gone
		} else if route.Id != "" || route.Name != "" {
			with = append(with, "route", cmp.Or(route.Name, route.Id))
		}
	}
	// Kong from 3.5 on has the id in its context, and where it is not yet, in a
	// variable; nginx has its own, which older ones log.
	id, err := kong.Nginx.GetCtxString("request_id")
	for _, name := range []string{"kong_request_id", "request_id"} {
		if id == "" && err == nil && has(wire.NginxGetVar) {
			id, err = kong.Nginx.GetVar(name)
		}
	}
	if id != "" {
		with = append(with, "request_id", id)
	}
	return with
}
