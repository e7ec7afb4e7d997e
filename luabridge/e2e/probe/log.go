package main

import (
	"errors"
	"log"
	"strings"
	"time"

	"github.com/kongring/kongring/server/pdk"
)

// Log writes a line with what is left of the request, after what the request
// asks for in header x-log.
func (p *probe) Log(kong *pdk.PDK) {
	do, err := kong.Request.GetHeader("x-log")
	what, arg, _ := strings.Cut(do, ":")
	if f := logActions[what]; f != nil {
		f(kong, arg)
	}
	path, err2 := kong.Request.GetPath()
	status, err3 := kong.Response.GetStatus()
	if err := errors.Join(err, err2, err3); err != nil {
		_ = kong.Log.Err("log phase: ", err.Error())
		return
	}
	_ = kong.Log.Notice("log phase: ", path, " ", status)
}

var logActions = map[string]func(kong *pdk.PDK, arg string){
	"quiet": func(kong *pdk.PDK, _ string) { // the event's end brings no write
		if _, err := kong.Log.SerializeMap(); err != nil {
			panic(err)
		}
		panicIf(kong.Ctx.SetShared("k", 1))
		_, err := kong.Ctx.GetSharedFloat("k") // takes the write along
		panicIf(err)
	},
	"sleep":  actions["sleep"],
	"panic":  actions["panic"],
	"deep":   actions["deep"],
	"levels": actions["levels"],
	// A method that may wait in Lua, between two that do not.
	"wait": func(kong *pdk.PDK, _ string) {
		_ = kong.Log.Notice("log phase: before the wait")
		secret, err := kong.Vault.Get("{vault://env/log-secret}")
		panicIf(err)
		_ = kong.Log.Notice("log phase: the secret is ", secret)
	},
	"get-var": func(kong *pdk.PDK, name string) {
		_, err := kong.Nginx.GetVar(name)
		_ = kong.Log.Notice("log phase: variable: ", errText(err))
	},
	"set-header": func(kong *pdk.PDK, _ string) { _ = kong.Response.SetHeader("x-late", "1") },
	"long": func(kong *pdk.PDK, _ string) { // longer than a frame, both ways
		panicIf(kong.Ctx.SetShared("long", strings.Repeat("x", 1<<20)))
		long, err := kong.Ctx.GetSharedString("long")
		panicIf(err)
		_ = kong.Log.Notice("log phase: long: ", len(long))
	},
	"until-cancelled": func(kong *pdk.PDK, _ string) {
		select {
		case <-kong.Context().Done():
			_, err := kong.Request.GetMethod()
			log.Print("probe: the log event was cancelled: ", errText(err))
		case <-time.After(time.Minute):
		}
	},
}

func panicIf(err error) {
	if err != nil {
		panic(err)
	}
}
