package test

import (
	"net/http"
	"testing"

	"github.com/kongring/kongring/server/pdk"
	"github.com/kongring/kongring/server/pdk/bridge"
	"github.com/kongring/kongring/server/wire"
)

// Ctx is a table that plugins share.
type Ctx struct {
	Store map[string]interface{}
}

// TestEnv is one request on its way through a plugin. One test uses it; the
// plugin may call the PDK from several goroutines.
type TestEnv struct {
	ClientReq  Request  // what the client sent
	ServiceReq Request  // what goes to the service
	ServiceRes Response // what the service answers
	ClientRes  Response // what the client gets
	Ctx        Ctx      // kong.ctx.shared
	Kong       Kong     // everything else

	t        testing.TB
	call     bridge.Call
	phase    int  // that runs
	finished bool // the request was answered by the plugin, or ended by Finish
	over     bool // the event under way is
}

// New gives the environment of a request.
func New(t *testing.T, req Request) (env *TestEnv, err error) { return environment(t, req) }

func environment(t testing.TB, req Request) (*TestEnv, error) {
	if err := req.Validate(); err != nil {
		return nil, err
	}
	e := &TestEnv{
		ClientReq: req, ServiceReq: req.clone(),
		ServiceRes: Response{Headers: http.Header{}}, ClientRes: Response{Headers: http.Header{}},
		Ctx: Ctx{Store: map[string]interface{}{}}, Kong: newKong(), t: t,
	}
	e.call.Init((*transport)(e))
	return e, nil
}

// Errorf fails the test.
func (e *TestEnv) Errorf(format string, args ...interface{}) {
	e.t.Helper()
	e.t.Errorf(format, args...)
}

// IsRunning tells whether the request goes on: nobody has answered it yet.
func (e *TestEnv) IsRunning() bool { return !e.finished }

// Finish makes the request answered: only its Log handler is still to run.
func (e *TestEnv) Finish() { e.finished = true }

// run runs a handler in a phase.
func (e *TestEnv) run(phase int, handler func(*pdk.PDK)) {
	e.t.Log(wire.PhaseNames[phase])
	e.phase, e.over = phase, false
	kong := pdk.Make(e.call.Open())
	defer e.call.Close()
	handler(&kong)
}

// DoCertificate runs the handler Certificate of config, a plugin's config with
// its methods. This and the others do nothing where config has no such handler,
// or where the plugin has answered the request already.
func (e *TestEnv) DoCertificate(config interface{}) {
	if h, ok := config.(interface{ Certificate(*pdk.PDK) }); ok && e.IsRunning() {
		e.run(wire.PhaseCertificate, h.Certificate)
	}
}

// DoRewrite runs the handler Rewrite.
func (e *TestEnv) DoRewrite(config interface{}) {
	if h, ok := config.(interface{ Rewrite(*pdk.PDK) }); ok && e.IsRunning() {
		e.run(wire.PhaseRewrite, h.Rewrite)
	}
}

// DoAccess runs the handler Access.
func (e *TestEnv) DoAccess(config interface{}) {
	if h, ok := config.(interface{ Access(*pdk.PDK) }); ok && e.IsRunning() {
		e.run(wire.PhaseAccess, h.Access)
	}
}

// DoResponse takes what ServiceRes has into ClientRes and runs the handler
// Response.
func (e *TestEnv) DoResponse(config interface{}) {
	if !e.IsRunning() {
		return
	}
	e.ClientRes.take(e.ServiceRes)
	if h, ok := config.(interface{ Response(*pdk.PDK) }); ok {
		e.Kong.Buffering = true
		e.run(wire.PhaseResponse, h.Response)
	}
}

// DoPreread runs the handler Preread.
func (e *TestEnv) DoPreread(config interface{}) {
	if h, ok := config.(interface{ Preread(*pdk.PDK) }); ok && e.IsRunning() {
		e.run(wire.PhasePreread, h.Preread)
	}
}

// DoLog runs the handler Log, also for a request that the plugin has answered.
func (e *TestEnv) DoLog(config interface{}) {
	if h, ok := config.(interface{ Log(*pdk.PDK) }); ok {
		e.run(wire.PhaseLog, h.Log)
	}
}

// DoHttp runs Rewrite, Access, Response and Log. The service is one that sends
// back what it gets; for another one, run the phases by themselves and set
// ServiceRes in between.
func (e *TestEnv) DoHttp(config interface{}) {
	e.DoRewrite(config)
	e.DoAccess(config)
	if e.IsRunning() {
		e.ServiceRes = e.ServiceReq.ToResponse()
	}
	e.DoResponse(config)
	e.DoLog(config)
}

// DoHttps runs Certificate, and then what DoHttp does.
func (e *TestEnv) DoHttps(config interface{}) {
	e.DoCertificate(config)
	e.DoHttp(config)
}

// DoStream runs Preread and Log.
func (e *TestEnv) DoStream(config interface{}) {
	e.DoPreread(config)
	e.DoLog(config)
}

// DoTLS runs Certificate, and then what DoStream does.
func (e *TestEnv) DoTLS(config interface{}) {
	e.DoCertificate(config)
	e.DoStream(config)
}
