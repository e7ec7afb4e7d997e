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
	Kind string `json:"kind"` // "header", "getters", "setter" or "log"
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

func (c *Config) call(kong *pdk.PDK, i int) (err error) {
	switch c.Kind {
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
	}
	_, err = kong.Request.GetHeader(names[i%len(names)])
	return err
}
