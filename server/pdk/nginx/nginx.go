// Package nginx reads nginx's own values.
package nginx

import (
	"github.com/kongring/kongring/server/pdk/bridge"
	"github.com/kongring/kongring/server/wire"
)

// Nginx is kong.Nginx of a handler.
type Nginx struct{ bridge.PdkBridge }

// New gives the Nginx of the event that b belongs to.
func New(b bridge.PdkBridge) Nginx { return Nginx{b} }

// GetVar gives an nginx variable, "" if it is not set. Phases: all but
// certificate and log.
func (n Nginx) GetVar(k string) (string, error) {
	return n.Ask(wire.NginxGetVar).String(k).ToString()
}

// GetTLS1VersionStr gives the TLS version of the client's connection, such as
// "TLSv1.3", "" where there is none. Phases: all but log.
func (n Nginx) GetTLS1VersionStr() (string, error) {
	return n.Ask(wire.NginxGetTLS1VersionStr).ToString()
}

// SetCtx sets a value of ngx.ctx, where Kong keeps its own too: use
// [ctx.Ctx.SetShared] to share values with other plugins. See
// [bridge.Call.Value] for the types it takes.
//
// [ctx.Ctx.SetShared]: https://pkg.go.dev/github.com/kongring/kongring/server/pdk/ctx#Ctx.SetShared
func (n Nginx) SetCtx(k string, v interface{}) error {
	return n.Ask(wire.NginxSetCtx).String(k).Value(v).Done()
}

// GetCtxAny gives a value of ngx.ctx: nil, bool, float64, string,
// []interface{} or map[string]interface{}.
func (n Nginx) GetCtxAny(k string) (interface{}, error) {
	return n.Ask(wire.NginxGetCtx).String(k).ToValue()
}

// GetCtxString gives a string of ngx.ctx, "" if there is none.
func (n Nginx) GetCtxString(k string) (string, error) {
	v, err := n.GetCtxAny(k)
	s, _ := v.(string)
	return s, err
}

// GetCtxFloat gives a number of ngx.ctx, 0 if there is none.
func (n Nginx) GetCtxFloat(k string) (float64, error) {
	v, err := n.GetCtxAny(k)
	f, _ := v.(float64)
	return f, err
}

// GetCtxInt is GetCtxFloat without the fraction.
func (n Nginx) GetCtxInt(k string) (int, error) {
	f, err := n.GetCtxFloat(k)
	return int(f), err
}

// ReqStartTime gives the time at which the request began, in seconds.
func (n Nginx) ReqStartTime() (float64, error) {
	return n.Ask(wire.NginxReqStartTime).ToNumber()
}

// GetSubsystem gives "http" or "stream".
func (n Nginx) GetSubsystem() (string, error) {
	return n.Ask(wire.NginxGetSubsystem).ToString()
}
