// Package gate lets requests through that bring a known key, and answers all
// others with 401.
package gate

import (
	"crypto/subtle"

	"github.com/kongring/kongring/server/pdk"
)

// Version and Priority are what Kong shows and sorts plugins by: before hello.
const (
	Version  = "0.1"
	Priority = 1000
)

// Config is the plugin's config in Kong.
type Config struct {
	Header string            `json:"header"` // that brings the key
	Keys   map[string]string `json:"keys"`   // name of the consumer by key
}

// New gives a config with the defaults.
func New() interface{} { return &Config{Header: "x-api-key"} }

// Access runs for each request before it goes to the service.
func (c *Config) Access(kong *pdk.PDK) {
	key, err := kong.Request.GetHeader(c.Header)
	if err != nil {
		_ = kong.Log.Err("read key: ", err.Error())
		refuse(kong, 500, "the key could not be read")
		return
	}
	consumer, ok := c.consumer(key)
	if !ok {
		refuse(kong, 401, "no or unknown key in header "+c.Header)
		return
	}
	// The service learns who calls, and never sees the key.
	if err := kong.ServiceRequest.SetHeader("x-consumer", consumer); err != nil {
		refuse(kong, 500, "the consumer could not be passed on")
		return
	}
	_ = kong.ServiceRequest.ClearHeader(c.Header)
}

// consumer finds whom a key belongs to, without telling by its time how much of
// a key was right.
func (c *Config) consumer(key string) (name string, ok bool) {
	for known, consumer := range c.Keys {
		if subtle.ConstantTimeCompare([]byte(known), []byte(key)) == 1 {
			name, ok = consumer, true
		}
	}
	return name, ok && key != ""
}

func refuse(kong *pdk.PDK, status int, message string) {
	kong.Response.Exit(status, []byte(`{"message":"`+message+`"}`),
		map[string][]string{"content-type": {"application/json"}})
}
