// Package calls makes a number of PDK calls for each request: what a plugin
// costs depends on that more than on anything else.
package calls

import (
	"strconv"

	"github.com/kongring/kongring/server/pdk"
)

// Version and Priority are what Kong shows and sorts plugins by.
const (
	Version  = "0.1"
	Priority = 10
)

// Config is the plugin's config in Kong.
type Config struct {
	N    int    `json:"n"`    // calls for each request
	Kind string `json:"kind"` // "header", "getters", "setter", "log", "mix" or "body"
}

// New gives a config with the defaults.
func New() interface{} { return &Config{N: 1, Kind: "header"} }

// Access runs for each request before it goes to the service.
func (c *Config) Access(kong *pdk.PDK) {
	for i := range c.N {
		if err := c.call(kong, i); err != nil {
			kong.Response.Exit(500, []byte("call "+strconv.Itoa(i)+": "+err.Error()), nil)
			return
		}
	}
}

// names are headers that benchmarks send.
var names = [...]string{"x-a", "x-b", "x-c", "x-d", "x-e", "x-f", "x-g", "x-h"}

// mix is what a plugin that checks a request and marks it may do.
var mix = [...]string{"header", "getters", "header", "setter", "header", "getters", "header", "log", "getters", "header"}

func (c *Config) call(kong *pdk.PDK, i int) error {
	if c.Kind == "mix" {
		return call(kong, mix[i%len(mix)], i)
	}
	return call(kong, c.Kind, i)
}

func call(kong *pdk.PDK, kind string, i int) (err error) {
	switch kind {
	case "setter":
		return kong.Response.SetHeader("x-set-"+strconv.Itoa(i%8), "value")
	case "log":
		return kong.Log.Debug("call ", i)
	case "getters":
		switch i % 4 {
		case 0:
			_, err = kong.Request.GetMethod()
		case 1:
			_, err = kong.Request.GetPath()
		case 2:
			_, err = kong.Client.GetIp()
		case 3:
			_, err = kong.Request.GetQueryArg("q")
		}
		return err
	case "body": // there and back
		body, err := kong.Request.GetRawBody()
		if err != nil {
			return err
		}
		return kong.Ctx.SetShared("body", string(body))
	}
	_, err = kong.Request.GetHeader(names[i%len(names)])
	return err
}
