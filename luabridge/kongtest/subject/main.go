// Command subject serves the plugins that the tests in a real Kong use, besides
// the conformance suite.
package main

import (
	"flag"
	"log"
	"time"

	"github.com/kongring/kongring/server"
	"github.com/kongring/kongring/server/pdk"
)

// Kong 3.9 takes one plugin from a plugin server, so that the others have
// servers of their own where it does not run them by the bridge.
var only = flag.String("only", "", "serve this plugin alone")

type plugin struct {
	name string
	make func() interface{}
}

var plugins = []plugin{
	{"subject", func() interface{} { return &subject{Message: "hello"} }},
	{"tagged", func() interface{} { return &tagged{} }},
	{"limited", func() interface{} { return &limited{} }},
}

// subject answers with its message and the path, after a while.
type subject struct {
	Message string        `json:"message"`
	Wait    time.Duration `json:"wait"`
}

func (s *subject) Access(kong *pdk.PDK) {
	path, err := kong.Request.GetPath()
	if err != nil {
		panic(err)
	}
	time.Sleep(s.Wait)
	kong.Response.Exit(200, []byte(s.Message+" "+path), nil)
}

func main() {
	flag.Parse()
	options := []server.Option{server.WithSocket(server.SocketPath("subject"))}
	for _, p := range plugins {
		if *only == "" || *only == p.name {
			options = append(options, server.WithPlugin(p.name, p.make, "0.1", 10))
		}
	}
	if err := server.Run(options...); err != nil {
		log.Fatal(err)
	}
}
