package main

import (
	"github.com/kongring/kongring/server"
	"github.com/kongring/kongring/server/pdk"
)

// withNarrow adds a plugin of which one event at a time may be under way. It
// waits until the probe is asked to let it go.
func withNarrow() server.Option {
	return server.WithPlugin("narrow", func() interface{} { return &narrow{} }, "0.1", 10, server.MaxEvents(1))
}

type narrow struct{}

func (*narrow) Access(kong *pdk.PDK) {
	select {
	case <-letGo:
	case <-kong.Context().Done():
	}
}

var letGo = make(chan struct{})

func init() {
	actions["let-go"] = func(*pdk.PDK, string) { close(letGo) } // once in a server's life
}
