// Package client tells who the client is.
package client

import (
	"errors"

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
// Phases of the getters of address and port: all but certificate.
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
	cred = AuthenticatedCredential{Id: t.Text("id"), ConsumerId: t.Text("consumer_id")}
	if cred.ConsumerId == "" { // Kong's own plugins have it here
		cred.ConsumerId = t.Sub("consumer").Text("id")
	}
	return cred, err
}

// GetConsumer gives the consumer that was authenticated, the zero value if none
// was. Phases: access, response, log.
func (c Client) GetConsumer() (consumer entities.Consumer, err error) {
	return consumerOf(c.Ask(wire.ClientGetConsumer).ToTable())
}

// LoadConsumer finds a consumer by its UUID, or by its username too where
// by_username is true; the zero value if there is none. It may wait for Kong's
// database. What is no UUID and may be no username ends the event.
// Phases: access, response, log.
func (c Client) LoadConsumer(consumer_id string, by_username bool) (consumer entities.Consumer, err error) {
	return consumerOf(c.Ask(wire.ClientLoadConsumer).String(consumer_id).Bool(by_username).ToTable())
}

func consumerOf(t bridge.Table, err error) (entities.Consumer, error) {
	return entities.Consumer{
		Id: t.Text("id"), CreatedAt: t.Number("created_at"), UpdatedAt: t.Number("updated_at"),
		Username: t.Text("username"), CustomId: t.Text("custom_id"), Tags: t.List("tags"), WsId: t.Text("ws_id"),
	}, err
}

// Authenticate tells Kong who asks: later plugins find consumer and credential,
// either of which may be nil. It sets no header of the request to the service.
// Phases: access.
func (c Client) Authenticate(consumer *entities.Consumer, credential *AuthenticatedCredential) error {
	if consumer == nil && credential == nil {
		return errNobody
	}
	call := c.Ask(wire.ClientAuthenticate)
	if consumer == nil {
		call.Nil()
	} else {
		call.Value(fields{
			"id": consumer.Id, "username": consumer.Username, "custom_id": consumer.CustomId, "ws_id": consumer.WsId,
			"created_at": consumer.CreatedAt, "updated_at": consumer.UpdatedAt, "tags": tags(consumer.Tags),
		}.set())
	}
	if credential == nil {
		call.Nil()
	} else {
		call.Value(fields{"id": credential.Id, "consumer_id": credential.ConsumerId}.set())
	}
	return call.Done()
}

var errNobody = errors.New("either credential or consumer must be provided")

// fields are those of an entity on its way to Kong.
type fields map[string]interface{}

// set gives the fields that have a value: in Lua the others are nil.
func (f fields) set() map[string]interface{} {
	for k, v := range f {
		if v == nil || v == "" || v == 0 {
			delete(f, k)
		}
	}
	return f
}

func tags(list []string) interface{} {
	if list == nil {
		return nil
	}
	out := make([]interface{}, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}

// GetProtocol gives the protocol that the route matched, and Kong's error
// without a route. allow_terminated makes a trusted X-Forwarded-Proto count.
// Phases: access, response, log.
func (c Client) GetProtocol(allow_terminated bool) (string, error) {
	return c.Ask(wire.ClientGetProtocol).Bool(allow_terminated).ToString()
}
