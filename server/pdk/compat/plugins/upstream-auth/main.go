// Command upstream-auth is a plugin that signs the requests to the service, so
// that the service knows that they come from the gateway, and for whom.
package main

import (
	"log"

	"github.com/Kong/go-pdk"
	"github.com/Kong/go-pdk/client"
	klog "github.com/Kong/go-pdk/log"
	"github.com/Kong/go-pdk/request"
	"github.com/Kong/go-pdk/server"
	service_request "github.com/Kong/go-pdk/service/request"
)

func main() {
	if err := server.StartServer(New, "2.0.1", 750); err != nil {
		log.Fatal(err)
	}
}

// Config is what an administrator sets.
type Config struct {
	KeyID     string   `json:"key_id"`
	Secret    string   `json:"secret"` // or the environment variable UPSTREAM_AUTH_SECRET
	Headers   []string `json:"headers"`
	SignBody  bool     `json:"sign_body"`
	MaxBody   uint32   `json:"max_body"`
	Strip     []string `json:"strip"`
	Overrides []struct {
		Consumer string `json:"consumer"`
		Secret   string `json:"secret"`
	} `json:"overrides"`
}

// New gives the defaults.
func New() interface{} {
	return &Config{KeyID: "kong", Headers: []string{"content-type"}, MaxBody: 1 << 20}
}

// inbound is the client's side of a request; it has the PDK's types inside, and
// their methods with them.
type inbound struct {
	client.Client
	request.Request
}

// The PDK's types are the plugin's own interfaces.
var (
	_ caller  = client.Client{}
	_ message = request.Request{}
	_ source  = inbound{}
	_ target  = service_request.Request{}
	_ logger  = klog.Log{}
)

// Access signs the request.
func (c *Config) Access(kong *pdk.PDK) {
	s := signer{config: c, in: inbound{kong.Client, kong.Request}, out: kong.ServiceRequest, log: kong.Log, now: now}
	if err := s.sign(); err != nil {
		s.log.Err("upstream-auth: ", err.Error())
		kong.Response.Exit(502, []byte(`{"message":"the request could not be signed"}`), nil)
	}
}
