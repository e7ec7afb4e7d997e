package test

import (
	"time"

	"github.com/kongring/kongring/server/pdk/client"
	"github.com/kongring/kongring/server/pdk/entities"
)

// Kong is what Kong knows besides the request, and what a plugin told it. New
// fills it in, mostly with what go-pdk's kit answers; tests change it before
// they run a phase, and look at it afterwards.
type Kong struct {
	IP, ForwardedIP     string
	Port, ForwardedPort int
	Protocol            string
	Trusted             bool // what IP.IsTrusted says, and with it whether X-Forwarded-* counts
	Consumer            *entities.Consumer
	Credential          *client.AuthenticatedCredential
	Consumers           []entities.Consumer // that Client.LoadConsumer finds
	CertificateChain    string              // of the client, PEM
	ClientVerify        string              // set by the plugin

	Route           *entities.Route
	Service         *entities.Service
	UnnamedCaptures []string
	NamedCaptures   map[string]string
	ForwardedPrefix string

	NodeID, Hostname, ClusterID, PluginID string

	StartTime time.Time              // of the request
	Vars      map[string]string      // nginx variables
	NgxCtx    map[string]interface{} // ngx.ctx
	PluginCtx map[string]interface{} // kong.ctx.plugin
	Secrets   map[string]string      // by reference, "{vault://env/name}"
	Upstreams []string               // that Service.SetUpstream finds

	// What the plugin did.
	Upstream       string
	TargetHost     string
	TargetPort     int
	Retries        *int
	Timeouts       [3]time.Duration // connect, write, read
	TLSVerify      *bool
	TLSVerifyDepth *int
	Buffering      bool
	Serialized     map[string]interface{} // values that it set for Log.Serialize, by path
	Logs           []LogLine
}

// LogLine is a line that the plugin logged.
type LogLine struct {
	Level string // "err" and so on
	Text  string
}

func newKong() Kong {
	ann := entities.Consumer{Id: "001", Username: "Jon Doe"}
	return Kong{
		IP: "10.10.10.1", ForwardedIP: "10.10.10.1", Port: 443, ForwardedPort: 443, Protocol: "https", Trusted: true,
		Consumer:   &ann,
		Credential: &client.AuthenticatedCredential{Id: "000:00", ConsumerId: "000:01"},
		Consumers:  []entities.Consumer{ann},
		Route: &entities.Route{
			Id: "001:002", Name: "route_66", Protocols: []string{"http", "tcp"}, Paths: []string{"/v0/left", "/v1/this"},
		},
		Service:  &entities.Service{Id: "003:004", Name: "self_service", Protocol: "http", Path: "/v0/left"},
		NodeID:   "a9777ac2-57e6-482b-a3c4-ef3d6ca41a1f",
		Hostname: "localhost", ClusterID: "5cbd1d6c-8d5a-4ae6-b0b9-f33a4a2f6a01", PluginID: "0b0b1f0e-2b8f-4f0c-9a54-6c2b5f5b3a10",
		StartTime: time.Now(), Vars: map[string]string{}, NgxCtx: map[string]interface{}{},
		PluginCtx: map[string]interface{}{}, Secrets: map[string]string{}, Serialized: map[string]interface{}{},
	}
}

// The entities as Lua tables, nil where there is none.

func (k *Kong) consumer() interface{} { return table(k.Consumer) }

func (k *Kong) credential() interface{} { return table(k.Credential) }

func (k *Kong) service() interface{} { return table(k.Service) }

func (k *Kong) route() interface{} {
	if k.Route == nil {
		return nil
	}
	t := entity(k.Route)
	t["headers"], t["sources"], t["destinations"] = t["header_values"], t["source_parts"], t["destination_parts"]
	return t
}

func table[T any](of *T) interface{} {
	if of == nil {
		return nil
	}
	return entity(of)
}
