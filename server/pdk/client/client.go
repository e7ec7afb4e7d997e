// Package client tells who the client is.
package client

import (
	"github.com/kongring/kongring/server/pdk/bridge"
	"github.com/kongring/kongring/server/pdk/entities"
	"github.com/kongring/kongring/server/wire"
)

// Client is kong.Client of a handler.
type Client struct{ bridge.PdkBridge }

// New gives the Client of the event that b belongs to.
func New(b bridge.PdkBridge) Client { return Client{b} }

// AuthenticatedCredential is the credential that an authentication plugin
// accepted.
type AuthenticatedCredential struct {
	Id         string `json:"id"`
	ConsumerId string `json:"consumer_id"`
}

// GetIp gives the address of the connection's other end.
// Phases of the getters of address and port: all.
func (c Client) GetIp() (ip string, err error) {
	return c.Ask(wire.ClientGetIP).ToString()
}

// GetForwardedIp gives the client's address, which a trusted peer may have
// forwarded.
func (c Client) GetForwardedIp() (string, error) {
	return c.Ask(wire.ClientGetForwardedIP).ToString()
}

// GetPort gives the port of the connection's other end.
func (c Client) GetPort() (int, error) {
	return c.Ask(wire.ClientGetPort).ToInt()
}

// GetForwardedPort gives the client's port, which a trusted peer may have
// forwarded.
func (c Client) GetForwardedPort() (int, error) {
	return c.Ask(wire.ClientGetForwardedPort).ToInt()
}

// GetCredential gives the credential that was accepted, the zero value if none
// was. Phases: access, response, log.
func (c Client) GetCredential() (cred AuthenticatedCredential, err error) {
	t, err := c.Ask(wire.ClientGetCredential).ToTable()
	return AuthenticatedCredential{Id: t.Text("id"), ConsumerId: t.Text("consumer_id")}, err
}

// GetConsumer gives the consumer that was authenticated, the zero value if none
// was. Phases: access, response, log.
func (c Client) GetConsumer() (consumer entities.Consumer, err error) {
	t, err := c.Ask(wire.ClientGetConsumer).ToTable()
	return entities.Consumer{
		Id: t.Text("id"), CreatedAt: t.Number("created_at"), Username: t.Text("username"),
		CustomId: t.Text("custom_id"), Tags: t.List("tags"),
	}, err
}

// GetProtocol gives the protocol that the route matched, "" without a route.
// allow_terminated makes a trusted X-Forwarded-Proto count.
// Phases: access, response, log.
func (c Client) GetProtocol(allow_terminated bool) (string, error) {
	return c.Ask(wire.ClientGetProtocol).Bool(allow_terminated).ToString()
}
