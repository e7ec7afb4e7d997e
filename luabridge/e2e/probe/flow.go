package main

import (
	"errors"
	"os"
	"strconv"
	"strings"

	"github.com/kongring/kongring/server/pdk"
)

// flow does with a connection of the stream subsystem what a file says.
type flow struct {
	File string `json:"file"`
}

func (f *flow) Preread(kong *pdk.PDK) {
	text, err := os.ReadFile(f.File)
	if err != nil {
		panic(err)
	}
	what, arg, _ := strings.Cut(string(text), ":")
	if do := flows[what]; do != nil {
		do(kong, arg)
	} else if do := handshakes[what]; do != nil {
		do(kong, arg)
	} else if do := actions[what]; do != nil {
		do(kong, arg)
	} else {
		panic("probe: unknown deed " + what)
	}
}

// Log writes a line with what is left of the connection.
func (f *flow) Log(kong *pdk.PDK) {
	ip, err := kong.Client.GetIp()
	status, err2 := kong.Response.GetStatus()
	left, err3 := kong.Ctx.GetSharedAny("handshake")
	method, err4 := kong.Request.GetMethod()
	query, err5 := kong.Request.GetQuery(-1)
	serialized, err6 := kong.Log.SerializeMap()
	_, isSession := serialized["session"]
	_ = kong.Log.Err("flow: log phase: ", ip, " ", status, " ", left, " ", method, len(query), " ", isSession, " ",
		errors.Join(err, err2, err3, err4, err5, err6) == nil)
}

var flows = map[string]func(kong *pdk.PDK, arg string){
	"exit": func(kong *pdk.PDK, arg string) {
		status, err := strconv.Atoi(arg)
		if err != nil {
			panic(err)
		}
		kong.Response.Exit(status, []byte("bye"), nil)
	},
	"who": func(kong *pdk.PDK, _ string) {
		ip, err := kong.Client.GetIp()
		subsystem, err2 := kong.Nginx.GetSubsystem()
		protocol, err3 := kong.Nginx.GetVar("protocol")
		_ = kong.Log.Err("flow: who: ", ip, " ", subsystem, " ", protocol, " ", errText(err), errText(err2), errText(err3))
	},
	"path": func(kong *pdk.PDK, _ string) { // the phase has none
		_, err := kong.Request.GetPath()
		_ = kong.Log.Err("flow: path: ", errText(err))
	},
}
