// Command subject serves the plugin that the tests in a real Kong use, besides
// the conformance suite.
package main

import (
	"log"

	"github.com/kongring/kongring/server"
	"github.com/kongring/kongring/server/pdk"
)

type config struct {
	Message string `json:"message"`
}

func (c *config) Access(kong *pdk.PDK) {
	path, err := kong.Request.GetPath()
	if err != nil {
		panic(err)
	}
	kong.Response.Exit(200, []byte(c.Message+" "+path), nil)
}

func main() {
	if err := server.StartServer(func() interface{} { return &config{Message: "hello"} }, "0.1", 10); err != nil {
		log.Fatal(err)
	}
}
