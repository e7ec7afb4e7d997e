package main

import (
	"github.com/kongring/kongring/luabridge/kongrun"
	"github.com/kongring/kongring/luabridge/testbed"
)

const (
	workers = 2
	key     = "open-sesame"
)

type object = map[string]interface{}

var plugins = []string{"hello", "gate", "calls"}

// routes are those to /hello and /gate, each with the plugin of its name.
// service is how they name the service, where they have to.
func routes(service object) (all []interface{}) {
	for name, config := range map[string]object{
		"hello": {"message": "hello from Go"},
		"gate":  {"header": "x-api-key", "keys": map[string]string{key: "alice"}},
	} {
		route := object{
			"name": name, "paths": []string{"/" + name},
			"plugins": []interface{}{object{"name": name, "config": config}},
		}
		for k, v := range service {
			route[k] = v
		}
		all = append(all, route)
	}
	return all
}

// hostConfig is the nginx host's declarative file.
var hostConfig = testbed.Config{
	"plugins":  plugins,
	"services": []interface{}{object{"name": "upstream", "url": "UPSTREAM"}},
	"routes":   routes(object{"service": "upstream"}),
}

// kongConfig is Kong's, which has routes inside of services.
func kongConfig(upstream string) kongrun.Config {
	return kongrun.Config{"services": []interface{}{object{"name": "upstream", "url": upstream, "routes": routes(nil)}}}
}
