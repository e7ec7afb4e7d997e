// Command subject serves the plugins of the differential test: their handlers
// run the program that the request's path names, and write down what they saw.
package main

import (
	"encoding/json"
	"flag"
	"log"
	"os"
	"path"

	"github.com/kongring/kongring/luabridge/differential/program"
	"github.com/kongring/kongring/server"
	"github.com/kongring/kongring/server/pdk"
)

var (
	records    = flag.String("records", os.DevNull, "`file` for a line of JSON for each handler that ran")
	sync       = flag.Bool("sync", false, "make each write a round trip")
	noMemo     = flag.Bool("no-memo", false, "ask for a value each time")
	noPrefetch = flag.Bool("no-prefetch", false, "send no values along")
)

var out *os.File

func main() {
	flag.Parse()
	var err error
	out, err = os.OpenFile(*records, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		log.Fatal(err)
	}
	options := []server.Option{
		server.WithSocket(server.SocketPath("subject")),
		server.WithPlugin("early", func() interface{} { return &early{} }, "0.1", 30),
		server.WithPlugin("lean", func() interface{} { return &lean{} }, "0.1", 10, odd),
		server.WithPlugin("full", func() interface{} { return &full{} }, "0.1", 10),
	}
	for _, off := range []struct {
		set    bool
		option server.Option
	}{{*sync, server.SyncWrites()}, {*noMemo, server.WithoutMemo()}, {*noPrefetch, server.WithoutPrefetch()}} {
		if off.set {
			options = append(options, off.option)
		}
	}
	if err := server.Run(options...); err != nil {
		log.Fatal(err)
	}
}

// odd declares getters that never have a value to send along: two that Kong
// refuses, one that has no place in a message, one that is too long for it.
var odd = server.Prefetch("access",
	server.Get("kong.response.get_status"),
	server.Get("kong.request.get_query", 0),
	server.Get("kong.ctx.shared.get", "function"),
	server.Get("kong.ctx.shared.get", "big"),
)

// early is global and runs before there is a route.
type early struct{}

func (*early) Rewrite(kong *pdk.PDK) { run(program.Rewrite, kong) }

// lean runs on routes with and without a service; Shape is there so that each
// route has an instance of its own.
type lean struct {
	Shape int `json:"shape"`
}

func (*lean) Access(kong *pdk.PDK) { run(program.Access, kong) }
func (*lean) Log(kong *pdk.PDK)    { run(program.Log, kong) }

// full has the response phase too, for which the response is taken in whole.
type full struct {
	Shape int `json:"shape"`
}

func (*full) Access(kong *pdk.PDK)   { run(program.Access, kong) }
func (*full) Response(kong *pdk.PDK) { run(program.Response, kong) }
func (*full) Log(kong *pdk.PDK)      { run(program.Log, kong) }

func run(phase program.Phase, kong *pdk.PDK) {
	where, err := kong.Request.GetPath()
	if err != nil {
		log.Print("subject: no path: ", err)
		return
	}
	p, err := program.New(path.Base(where))
	if err != nil {
		log.Print("subject: ", err)
		return
	}
	line, err := json.Marshal(program.Record{Name: p.Name, Phase: phase, Seen: p.Run(phase, kong)})
	if err != nil {
		panic(err)
	}
	if _, err := out.Write(append(line, '\n')); err != nil { // one write: whole lines
		panic(err)
	}
}
