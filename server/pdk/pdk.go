// Package pdk is the API that plugins are written against. It has the shape of
// github.com/Kong/go-pdk: the same packages, types and methods, so that a
// plugin changes its import paths and nothing else.
//
// A *PDK belongs to one event. Its values may be copied, embedded and passed to
// interfaces, and its methods called by several goroutines, until the handler
// returns; later calls give an error that wraps [bridge.ErrOver].
//
// A method that finds nothing gives the zero value of its type and a nil error.
// An error says that there was no answer: the event is over, the method was
// called in a phase that forbids it, Lua raised, or Lua gave nil and an error.
//
// METHODS.md lists all methods with their phases, DIFFERENCES.md what is not as
// in go-pdk.
package pdk

import (
	"context"

	"github.com/kongring/kongring/server/pdk/bridge"
	"github.com/kongring/kongring/server/pdk/client"
	"github.com/kongring/kongring/server/pdk/cluster"
	"github.com/kongring/kongring/server/pdk/ctx"
	"github.com/kongring/kongring/server/pdk/ip"
	"github.com/kongring/kongring/server/pdk/log"
	"github.com/kongring/kongring/server/pdk/nginx"
	"github.com/kongring/kongring/server/pdk/node"
	"github.com/kongring/kongring/server/pdk/plugin"
	"github.com/kongring/kongring/server/pdk/request"
	"github.com/kongring/kongring/server/pdk/response"
	"github.com/kongring/kongring/server/pdk/router"
	"github.com/kongring/kongring/server/pdk/service"
	service_request "github.com/kongring/kongring/server/pdk/service/request"
	service_response "github.com/kongring/kongring/server/pdk/service/response"
	"github.com/kongring/kongring/server/pdk/vault"
)

// PDK is what a handler gets: one value for each part of Kong.
type PDK struct {
	Client          client.Client
	Ctx             ctx.Ctx
	Log             log.Log
	Nginx           nginx.Nginx
	Request         request.Request
	Response        response.Response
	Router          router.Router
	IP              ip.Ip
	Node            node.Node
	Service         service.Service
	ServiceRequest  service_request.Request
	ServiceResponse service_response.Response
	Cluster         cluster.Cluster
	Plugin          plugin.Plugin
	Vault           vault.Vault

	bridge bridge.PdkBridge
}

// Make gives the PDK of the event that b belongs to. The server calls it.
func Make(b bridge.PdkBridge) PDK {
	return PDK{
		Client:          client.New(b),
		Ctx:             ctx.New(b),
		Log:             log.New(b),
		Nginx:           nginx.New(b),
		Request:         request.New(b),
		Response:        response.New(b),
		Router:          router.New(b),
		IP:              ip.New(b),
		Node:            node.New(b),
		Service:         service.New(b),
		ServiceRequest:  service_request.New(b),
		ServiceResponse: service_response.New(b),
		Cluster:         cluster.New(b),
		Plugin:          plugin.New(b),
		Vault:           vault.New(b),
		bridge:          b,
	}
}

// Context gives the context of the event: it is cancelled when the event's time
// is over, when the worker goes away, when the server stops and its grace time is
// over, and when the handler returns. A client that leaves does not cancel it:
// nginx tells nobody while lua_check_client_abort is off, as it has to be.
func (p *PDK) Context() context.Context { return bridge.ContextOf(p.bridge) }
