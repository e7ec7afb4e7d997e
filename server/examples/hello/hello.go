// Package hello is the smallest useful plugin: it reads a header, the path and
// its config, and sets a header of the response.
package hello

import "github.com/kongring/kongring/server/pdk"

// Version and Priority are what Kong shows and sorts plugins by.
const (
	Version  = "0.1"
	Priority = 1
)

// Config is the plugin's config in Kong.
type Config struct {
	Message string `json:"message"`
}

// New gives a config with the defaults.
func New() interface{} { return &Config{Message: "hello"} }

// Access runs for each request before it goes to the service.
func (c *Config) Access(kong *pdk.PDK) {
	name, err := kong.Request.GetHeader("x-name")
	if err != nil {
		_ = kong.Log.Err("read header: ", err.Error())
		return
	}
	if name == "" {
		name = "stranger"
	}
	path, err := kong.Request.GetPath()
	if err != nil {
		_ = kong.Log.Err("read path: ", err.Error())
		return
	}
	_ = kong.Response.SetHeader("x-hello-from-go", c.Message+", "+name+", at "+path)
}
