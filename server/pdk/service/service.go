// Package service chooses where the request goes.
package service

import (
	"time"

	"github.com/kongring/kongring/server/pdk/bridge"
	"github.com/kongring/kongring/server/wire"
)

// Service is kong.Service of a handler.
type Service struct{ bridge.PdkBridge }

// New gives the Service of the event that b belongs to.
func New(b bridge.PdkBridge) Service { return Service{b} }

// SetUpstream sends the request to an upstream entity of Kong, by its name, and
// gives Kong's error if there is none of that name. Phases: access.
func (s Service) SetUpstream(host string) error {
	return s.Ask(wire.ServiceSetUpstream).String(host).Checked()
}

// SetTarget sends the request to a host and port, past the load balancer.
// Phases: rewrite, access, preread.
func (s Service) SetTarget(host string, port int) error {
	return s.Ask(wire.ServiceSetTarget).String(host).Int(port).Done()
}

// SetRetries sets how many times Kong tries again, from 0 to 32767, in place of
// what the service says. Phases: access.
func (s Service) SetRetries(retries int) error {
	return s.Ask(wire.ServiceSetRetries).Int(retries).Done()
}

// SetTimeouts sets the times that Kong waits for the service in place of what
// the service says, in whole milliseconds from 1 to 2147483646. Phases: access.
func (s Service) SetTimeouts(connect, write, read time.Duration) error {
	return s.Ask(wire.ServiceSetTimeouts).Int(int(connect.Milliseconds())).
		Int(int(write.Milliseconds())).Int(int(read.Milliseconds())).Done()
}

// SetTlsVerify turns the check of the service's certificate on or off, in place
// of what the service says. Phases of this and the next: rewrite, access,
// preread.
func (s Service) SetTlsVerify(on bool) error {
	return s.Ask(wire.ServiceSetTLSVerify).Bool(on).Checked()
}

// SetTlsVerifyDepth sets how many certificates may stand between the service's
// and a trusted one.
func (s Service) SetTlsVerifyDepth(depth int) error {
	return s.Ask(wire.ServiceSetTLSVerifyDepth).Int(depth).Checked()
}
