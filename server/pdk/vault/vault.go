// Package vault reads secrets out of Kong's vaults. Secrets in a plugin's own
// config need none of it: Kong resolves them in referenceable fields.
package vault

import (
	"github.com/kongring/kongring/server/pdk/bridge"
	"github.com/kongring/kongring/server/wire"
)

// Vault is kong.Vault of a handler. Its methods may be called in every phase.
type Vault struct{ bridge.PdkBridge }

// New gives the Vault of the event that b belongs to.
func New(b bridge.PdkBridge) Vault { return Vault{b} }

// Reference is a reference to a secret in its parts, as in
// "{vault://name/resource/key?prefix=x#1}".
type Reference struct {
	Scheme   string            `json:"scheme"`   // "vault"
	Name     string            `json:"name"`     // of the vault
	Resource string            `json:"resource"` // the secret
	Key      string            `json:"key"`      // in a secret of several values, or ""
	Version  int               `json:"version"`  // 0 for the current one
	Config   map[string]string `json:"config"`   // settings of the vault for this reference
}

// Get gives the secret that a reference such as "{vault://env/password}" stands
// for, and Kong's error where there is none. It may wait for the vault, and is
// asked anew each time: secrets rotate.
func (v Vault) Get(reference string) (string, error) {
	return v.Ask(wire.VaultGet).String(reference).ToString()
}

// IsReference tells whether a text has the form of a reference.
func (v Vault) IsReference(text string) (bool, error) {
	return v.Ask(wire.VaultIsReference).String(text).ToBool()
}

// ParseReference takes a reference apart, and gives Kong's error for what is
// none.
func (v Vault) ParseReference(reference string) (Reference, error) {
	t, err := v.Ask(wire.VaultParseReference).String(reference).ToTable()
	r := Reference{
		Scheme: t.Text("scheme"), Name: t.Text("name"), Resource: t.Text("resource"), Key: t.Text("key"),
		Version: t.Number("version"),
	}
	for k, value := range t.Sub("config") {
		if s, ok := value.(string); ok {
			if r.Config == nil {
				r.Config = map[string]string{}
			}
			r.Config[k] = s
		}
	}
	return r, err
}
