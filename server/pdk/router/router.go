// Package router tells how the request was matched.
package router

import (
	"strconv"

	"github.com/kongring/kongring/server/pdk/bridge"
	"github.com/kongring/kongring/server/pdk/entities"
	"github.com/kongring/kongring/server/wire"
)

// Router is kong.Router of a handler.
type Router struct{ bridge.PdkBridge }

// New gives the Router of the event that b belongs to.
func New(b bridge.PdkBridge) Router { return Router{b} }

// GetRoute gives the route of the request, the zero value if there is none.
// Phases: access, response, log.
func (r Router) GetRoute() (route entities.Route, err error) {
	t, err := r.Ask(wire.RouterGetRoute).ToTable()
	if err != nil || t == nil {
		return route, err
	}
	route = entities.Route{
		Id: t.Text("id"), CreatedAt: t.Number("created_at"), UpdatedAt: t.Number("updated_at"), Name: t.Text("name"),
		Protocols: t.List("protocols"), Methods: t.List("methods"), Hosts: t.List("hosts"), Paths: t.List("paths"),
		HTTPSRedirectStatusCode: t.Number("https_redirect_status_code"), RegexPriority: t.Number("regex_priority"),
		StripPath: t.Bool("strip_path"), PreserveHost: t.Bool("preserve_host"),
		SNIs: t.List("snis"), Tags: t.List("tags"), Service: entities.ServiceKey{Id: t.Sub("service").Text("id")},
		SourceParts: parts(t.Tables("sources")), DestinationParts: parts(t.Tables("destinations")),
		Expression: t.Text("expression"), Priority: t.Number("priority"), PathHandling: t.Text("path_handling"),
		RequestBuffering: t.Bool("request_buffering"), ResponseBuffering: t.Bool("response_buffering"),
		WsId: t.Text("ws_id"),
	}
	route.Sources, route.Destinations = texts(route.SourceParts), texts(route.DestinationParts)
	headers := t.Sub("headers")
	for name := range headers {
		if route.HeaderValues == nil {
			route.HeaderValues = map[string][]string{}
		}
		route.HeaderValues[name] = headers.List(name)
		for _, value := range route.HeaderValues[name] {
			route.Headers = append(route.Headers, name+": "+value)
		}
	}
	return route, nil
}

func parts(list []bridge.Table) (out []entities.CIDRPort) {
	for _, t := range list {
		out = append(out, entities.CIDRPort{IP: t.Text("ip"), Port: t.Number("port")})
	}
	return out
}

func texts(list []entities.CIDRPort) (out []string) {
	for _, p := range list {
		text := p.IP
		if p.Port != 0 {
			text += ":" + strconv.Itoa(p.Port)
		}
		out = append(out, text)
	}
	return out
}

// GetService gives the service of the request, the zero value if there is none.
// Phases: access, response, log.
func (r Router) GetService() (service entities.Service, err error) {
	t, err := r.Ask(wire.RouterGetService).ToTable()
	if err != nil || t == nil {
		return service, err
	}
	return entities.Service{
		Id: t.Text("id"), CreatedAt: t.Number("created_at"), UpdatedAt: t.Number("updated_at"), Name: t.Text("name"),
		Retries: t.Number("retries"), Protocol: t.Text("protocol"), Host: t.Text("host"), Port: t.Number("port"),
		Path: t.Text("path"), ConnectTimeout: t.Number("connect_timeout"), WriteTimeout: t.Number("write_timeout"),
		ReadTimeout: t.Number("read_timeout"), Tags: t.List("tags"),
		ClientCertificate: entities.CertificateKey{Id: t.Sub("client_certificate").Text("id")},
		Enabled:           t.Bool("enabled"), TLSVerify: t.Bool("tls_verify"), TLSVerifyDepth: t.Number("tls_verify_depth"),
		CACertificates: t.List("ca_certificates"), WsId: t.Text("ws_id"),
	}, nil
}
