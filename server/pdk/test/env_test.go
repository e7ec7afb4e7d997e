package test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/server/pdk"
	"github.com/kongring/kongring/server/pdk/bridge"
	"github.com/kongring/kongring/server/pdk/client"
	"github.com/kongring/kongring/server/pdk/entities"
	"github.com/kongring/kongring/server/pdk/log"
	"github.com/kongring/kongring/server/pdk/request"
	"github.com/kongring/kongring/server/wire"
)

// plugin has the handlers that a test gives it.
type plugin map[string]func(*pdk.PDK)

func (p plugin) run(phase string, kong *pdk.PDK) {
	if p[phase] != nil {
		p[phase](kong)
	}
}

func (p plugin) Certificate(kong *pdk.PDK) { p.run("certificate", kong) }
func (p plugin) Rewrite(kong *pdk.PDK)     { p.run("rewrite", kong) }
func (p plugin) Access(kong *pdk.PDK)      { p.run("access", kong) }
func (p plugin) Response(kong *pdk.PDK)    { p.run("response", kong) }
func (p plugin) Preread(kong *pdk.PDK)     { p.run("preread", kong) }
func (p plugin) Log(kong *pdk.PDK)         { p.run("log", kong) }

// failures takes the failures of a test in its stead.
type failures struct {
	testing.TB
	texts []string
}

func (f *failures) Errorf(format string, args ...interface{}) {
	f.texts = append(f.texts, fmt.Sprintf(format, args...))
}

func newEnv(t *testing.T, req Request) (*TestEnv, *failures) {
	t.Helper()
	e, err := New(t, req)
	require.NoError(t, err)
	f := &failures{TB: t}
	e.t = f
	t.Cleanup(func() { require.Empty(t, f.texts, "failures that the test does not know") })
	return e, f
}

var get = Request{
	Method: "GET", Url: "https://Example.com:8443/a%20b?q=1&q=2&z",
	Headers: http.Header{"x-twice": {"1", "2"}, "X-Forwarded-Proto": {"HTTP"}, "X-Forwarded-Host": {"out.test:81"}},
}

var post = Request{
	Method: "POST", Url: "http://example.com", Headers: http.Header{"Content-Type": {"application/json"}}, Body: []byte(`{"a":[1]}`),
}

// in runs f in a phase.
func (e *TestEnv) in(phase string, f func(*pdk.PDK)) {
	p := plugin{phase: f}
	map[string]func(interface{}){
		"certificate": e.DoCertificate, "rewrite": e.DoRewrite, "access": e.DoAccess, "response": e.DoResponse,
		"preread": e.DoPreread, "log": e.DoLog,
	}[phase](p)
}

func TestEveryMethodHasAnAnswer(t *testing.T) {
	for id := range wire.Methods[1:] {
		require.NotNil(t, answers[wire.MethodID(id+1)], wire.MethodID(id+1))
	}
}

func TestValidate(t *testing.T) {
	for text, r := range map[string]Request{
		`method "FETCH"`:             {Method: "FETCH"},
		`missing protocol scheme`:    {Method: "GET", Url: ":"},
		`GET with a body of 1 bytes`: {Method: "GET", Body: []byte("x")},
		`PUT without a body`:         {Method: "PUT"},
	} {
		_, err := New(t, r)
		require.ErrorContains(t, err, text)
	}
	for _, method := range []string{"DELETE", "HEAD", "OPTIONS", "TRACE"} {
		_, err := New(t, Request{Method: method})
		require.NoError(t, err)
	}
}

// want compares what a getter gives.
func want[T any](t *testing.T, expected T, got T, err error) {
	t.Helper()
	require.NoError(t, err)
	require.Equal(t, expected, got)
}

func TestRequestGetters(t *testing.T) {
	e, _ := newEnv(t, get)
	e.in("access", func(kong *pdk.PDK) {
		r := kong.Request
		check := func(expected string) func(string, error) {
			return func(got string, err error) { t.Helper(); want(t, expected, got, err) }
		}
		check("https")(r.GetScheme())
		check("example.com")(r.GetHost())
		check("http")(r.GetForwardedScheme())
		check("out.test")(r.GetForwardedHost())
		check("GET")(r.GetMethod())
		check("/a b")(r.GetPath())
		check("/a%20b")(r.GetRawPath())
		check("/a b")(r.GetForwardedPath())
		check("")(r.GetForwardedPrefix())
		check("/a%20b?q=1&q=2&z")(r.GetPathWithQuery())
		check("q=1&q=2&z")(r.GetRawQuery())
		check("1")(r.GetQueryArg("q"))
		check("")(r.GetQueryArg("none"))
		check("1")(r.GetHeader("X_TWICE"))
		check("")(r.GetHeader("none"))
		port, err := r.GetPort()
		want(t, 8443, port, err)
		port, err = r.GetForwardedPort()
		want(t, 81, port, err)
		version, err := r.GetHttpVersion()
		want(t, 1.1, version, err)
		query, err := r.GetQuery(-1)
		want(t, map[string][]string{"q": {"1", "2"}, "z": {""}}, query, err)
		headers, err := r.GetHeaders(1000)
		require.NoError(t, err)
		require.Equal(t, []string{"1", "2"}, headers["x-twice"])
		headers, err = r.GetHeaders(1)
		require.NoError(t, err)
		require.Len(t, headers, 1)
		ms, err := r.GetStartTime()
		want(t, int(e.Kong.StartTime.UnixMilli()), ms, err)
		body, err := r.GetRawBody()
		require.NoError(t, err)
		require.Empty(t, body)
		e.Kong.UnnamedCaptures, e.Kong.NamedCaptures = []string{"u"}, map[string]string{"n": "v"}
		unnamed, named, err := r.GetUriCaptures()
		require.NoError(t, err)
		require.Equal(t, [][]byte{[]byte("u")}, unnamed)
		require.Equal(t, map[string][]byte{"n": []byte("v")}, named)
	})
	e, _ = newEnv(t, get)
	e.Kong.Trusted = false
	e.in("access", func(kong *pdk.PDK) {
		scheme, err := kong.Request.GetForwardedScheme()
		want(t, "https", scheme, err)
	})
}

func TestBodies(t *testing.T) {
	e, _ := newEnv(t, post)
	e.in("access", func(kong *pdk.PDK) {
		raw, err := kong.Request.GetRawBody()
		want(t, `{"a":[1]}`, string(raw), err)
		body, mimetype, err := kong.Request.GetBody(request.BodyOptions{})
		want(t, interface{}(map[string]interface{}{"a": []interface{}{1.0}}), body, err)
		require.Equal(t, "application/json", mimetype)
		_, _, err = kong.Request.GetBody(request.BodyOptions{MimeType: "text/plain"})
		require.EqualError(t, err, "kong.request.get_body: unsupported content type 'text/plain'")

		for _, mimetype := range []string{form, "multipart/form-data; boundary=x", "multipart/form-data"} {
			require.NoError(t, kong.ServiceRequest.SetBody(map[string]interface{}{"a": "b c"}, mimetype))
			v, err := parse(e.ServiceReq.Headers.Get("Content-Type"), e.ServiceReq.Body)
			require.NoError(t, err)
			require.Equal(t, map[string]interface{}{"a": "b c"}, v.([]interface{})[0], mimetype)
		}
		require.ErrorContains(t, kong.ServiceRequest.SetBody(nil, "text/plain"), "unsupported content type")

		require.NoError(t, kong.ServiceRequest.SetRawBody("new\xff"))
		require.Equal(t, "new\xff", string(e.ServiceReq.Body))
		require.Empty(t, e.ServiceRes.Body)
	})
	e.ServiceRes.Body = []byte("a=1&a=2")
	e.in("response", func(kong *pdk.PDK) {
		raw, err := kong.ServiceResponse.GetRawBody()
		want(t, "a=1&a=2", string(raw), err)
		body, _, err := kong.ServiceResponse.GetBody(form, 0)
		want(t, interface{}(map[string]interface{}{"a": []interface{}{"1", "2"}}), body, err)
	})
}

func TestServiceRequest(t *testing.T) {
	e, _ := newEnv(t, get)
	e.Kong.Upstreams = []string{"u"}
	e.in("access", func(kong *pdk.PDK) {
		s := kong.ServiceRequest
		for _, err := range []error{
			s.SetScheme("http"), s.SetPath("/p q"), s.ClearQueryArg("q"), s.SetMethod("DELETE"),
			s.SetHeader("x-a", "1"), s.SetHeaderValues("x-b", "1", "2"), s.AddHeader("x-b", "3"), s.AddHeaderValues("x-b", "4", "5"),
			s.ClearHeader("x-twice"), s.SetHeaders(map[string][]string{"x-c": {"1"}, "x-a": {}}),
			kong.Service.SetUpstream("u"), kong.Service.SetTarget("h", 1), kong.Service.SetRetries(2),
			kong.Service.SetTimeouts(time.Second, 2*time.Second, 3*time.Second), kong.Service.SetTlsVerify(true),
			kong.Service.SetTlsVerifyDepth(1),
		} {
			require.NoError(t, err)
		}
		require.EqualError(t, kong.Service.SetUpstream("v"), "kong.service.set_upstream: could not find an Upstream named 'v'")
	})
	require.Equal(t, "http://Example.com:8443/p%20q?z", e.ServiceReq.Url)
	require.Equal(t, "DELETE", e.ServiceReq.Method)
	require.Equal(t, http.Header{"X-B": {"1", "2", "3", "4", "5"}, "X-C": {"1"}, "X-Forwarded-Proto": {"HTTP"},
		"X-Forwarded-Host": {"out.test:81"}}, e.ServiceReq.Headers)
	require.Equal(t, get.Url, e.ClientReq.Url)
	require.Equal(t, []interface{}{"u", "h", 1, 2, true, 1}, []interface{}{e.Kong.Upstream, e.Kong.TargetHost, e.Kong.TargetPort,
		*e.Kong.Retries, *e.Kong.TLSVerify, *e.Kong.TLSVerifyDepth})
	require.Equal(t, [3]time.Duration{time.Second, 2 * time.Second, 3 * time.Second}, e.Kong.Timeouts)
	e.in("access", func(kong *pdk.PDK) {
		require.NoError(t, kong.ServiceRequest.SetQuery(map[string][]string{"b": {"1", "2"}, "a": {"x"}}))
		require.Equal(t, "http://Example.com:8443/p%20q?a=x&b=1&b=2", e.ServiceReq.Url)
		require.NoError(t, kong.ServiceRequest.SetRawQuery("r"))
	})
	require.Equal(t, "http://Example.com:8443/p%20q?r", e.ServiceReq.Url)
}

func TestResponseAndWholeRequests(t *testing.T) {
	e, _ := newEnv(t, get)
	var ran []string
	e.DoHttps(plugin{
		"certificate": func(kong *pdk.PDK) {
			require.NoError(t, kong.Client.TLS().RequestClientCertificate())
			ran = append(ran, "certificate")
		},
		"rewrite": func(kong *pdk.PDK) {
			require.NoError(t, kong.Response.SetHeader("x-kept", "1"))
			ran = append(ran, "rewrite")
		},
		"access": func(kong *pdk.PDK) {
			require.NoError(t, kong.ServiceRequest.SetHeader("x-up", "1"))
			ran = append(ran, "access")
		},
		"response": func(kong *pdk.PDK) {
			got, err := kong.ServiceResponse.GetHeader("x_up")
			want(t, "1", got, err)
			status, err := kong.ServiceResponse.GetStatus()
			want(t, 200, status, err)
			require.NoError(t, kong.Response.SetStatus(201))
			require.NoError(t, kong.Response.AddHeader("x-twice", "3"))
			require.NoError(t, kong.Response.AddHeaderValues("x-many", "1", "2"))
			require.NoError(t, kong.Response.SetHeaderValues("x-set", "1", "2"))
			require.NoError(t, kong.Response.SetHeaders(map[string][]string{"x-up": {}, "x-all": {"1"}}))
			require.NoError(t, kong.Response.ClearHeader("x-forwarded-host"))
			ran = append(ran, "response")
		},
		"log": func(kong *pdk.PDK) {
			status, err := kong.Response.GetStatus()
			want(t, 201, status, err)
			headers, err := kong.Response.GetHeaders(-1)
			require.NoError(t, err)
			require.Equal(t, []string{"1", "2", "3"}, headers["x-twice"])
			source, err := kong.Response.GetSource()
			want(t, "service", source, err)
			ran = append(ran, "log")
		},
	})
	require.Equal(t, []string{"certificate", "rewrite", "access", "response", "log"}, ran)
	require.Equal(t, 201, e.ClientRes.Status)
	require.Equal(t, http.Header{"X-Kept": {"1"}, "X-Twice": {"1", "2", "3"}, "X-Forwarded-Proto": {"HTTP"},
		"X-Many": {"1", "2"}, "X-Set": {"1", "2"}, "X-All": {"1"}}, e.ClientRes.Headers)
	require.True(t, e.IsRunning())

	e, _ = newEnv(t, get)
	ran = nil
	e.DoTLS(plugin{
		"certificate": func(*pdk.PDK) { ran = append(ran, "certificate") },
		"preread": func(kong *pdk.PDK) {
			subsystem, err := kong.Nginx.GetSubsystem()
			want(t, "stream", subsystem, err)
			ran = append(ran, "preread")
		},
		"log": func(*pdk.PDK) { ran = append(ran, "log") },
	})
	require.Equal(t, []string{"certificate", "preread", "log"}, ran)
}

// What ends a request in the access phase: the service does not see it, and
// the log phase does.
func TestExit(t *testing.T) {
	for name, tc := range map[string]struct {
		exit   func(*pdk.PDK)
		status int
		body   string
	}{
		"exit":   {func(k *pdk.PDK) { k.Response.Exit(403, []byte("no"), map[string][]string{"x-why": {"key"}}) }, 403, "no"},
		"bare":   {func(k *pdk.PDK) { k.Response.Exit(403, []byte("no"), nil) }, 403, "no"},
		"status": {func(k *pdk.PDK) { k.Response.ExitStatus(204) }, 204, ""},
		"error":  {func(k *pdk.PDK) { k.Response.Error(503, "later", nil) }, 503, "{\n  \"message\":\"later\"\n}"},
		"words":  {func(k *pdk.PDK) { k.Response.Error(404, "", nil) }, 404, "{\n  \"message\":\"Not Found\"\n}"},
	} {
		t.Run(name, func(t *testing.T) {
			e, _ := newEnv(t, get)
			logged := false
			var kept *pdk.PDK
			e.DoHttp(plugin{
				"access": func(kong *pdk.PDK) {
					tc.exit(kong)
					require.ErrorIs(t, kong.Response.SetHeader("x-late", "1"), bridge.ErrOver)
					kept = kong
				},
				"response": func(*pdk.PDK) { t.Error("response after exit") },
				"log": func(kong *pdk.PDK) {
					logged = true
					source, err := kong.Response.GetSource()
					want(t, "exit", source, err)
					_, err = kept.Request.GetPath()
					require.ErrorIs(t, err, bridge.ErrOver)
				},
			})
			require.True(t, logged)
			require.False(t, e.IsRunning())
			require.Equal(t, tc.status, e.ClientRes.Status)
			require.Equal(t, tc.body, string(e.ClientRes.Body))
			require.Empty(t, e.ClientRes.Headers.Get("x-late"))
			require.Zero(t, e.ServiceRes.Status)
		})
	}
}

// What Kong would refuse fails the test that runs the plugin.
func TestRefusals(t *testing.T) {
	for name, call := range map[string]func(*pdk.PDK) error{
		"kong.response.get_status: cannot be called in the phase access": func(k *pdk.PDK) error {
			_, err := k.Response.GetStatus()
			return err
		},
		"kong.response.set_status: status 99: want 100 to 599": func(k *pdk.PDK) error { return k.Response.SetStatus(99) },
		"kong.response.exit: status 600: want 100 to 599":      func(k *pdk.PDK) error { k.Response.ExitStatus(600); return nil },
		"kong.response.error: status 200: want 400 to 599":     func(k *pdk.PDK) error { k.Response.Error(200, "", nil); return nil },
		"kong.request.get_headers: 0 values: want 1 to 1000": func(k *pdk.PDK) error {
			_, err := k.Request.GetHeaders(0)
			return err
		},
		`kong.service.request.set_scheme: scheme "grpc": want http or https`: func(k *pdk.PDK) error {
			return k.ServiceRequest.SetScheme("grpc")
		},
		`kong.service.request.set_path: path "p": want one that starts with /`: func(k *pdk.PDK) error { return k.ServiceRequest.SetPath("p") },
		`kong.service.request.set_method: method "get"`:                        func(k *pdk.PDK) error { return k.ServiceRequest.SetMethod("get") },
		"kong.service.set_target: port 70000: want 0 to 65535":                 func(k *pdk.PDK) error { return k.Service.SetTarget("h", 70000) },
		"kong.service.set_retries: -1 retries: want 0 to 32767":                func(k *pdk.PDK) error { return k.Service.SetRetries(-1) },
		"kong.service.set_timeouts: timeout of 0 ms": func(k *pdk.PDK) error {
			return k.Service.SetTimeouts(0, time.Second, time.Second)
		},
		"kong.service.set_tls_verify_depth: depth -1":    func(k *pdk.PDK) error { return k.Service.SetTlsVerifyDepth(-1) },
		`kong.client.tls.set_client_verify: "MAYBE"`:     func(k *pdk.PDK) error { return k.Client.TLS().SetClientVerify("MAYBE") },
		`kong.log.set_serialize_value: mode "sometimes"`: func(k *pdk.PDK) error { return k.Log.SetSerializeValue("k", 1, "sometimes") },
	} {
		t.Run(name, func(t *testing.T) {
			e, f := newEnv(t, get)
			e.DoHttp(plugin{"access": func(kong *pdk.PDK) {
				if err := call(kong); err != nil {
					require.ErrorContains(t, err, name)
				}
				_, err := kong.Request.GetPath()
				require.ErrorIs(t, err, bridge.ErrOver)
			}})
			require.Len(t, f.texts, 1)
			require.Contains(t, f.texts[0], name)
			require.Equal(t, 500, e.ClientRes.Status)
			f.texts = nil
		})
	}
	e, f := newEnv(t, get)
	e.ServiceRes.Body = []byte("b")
	e.in("log", func(kong *pdk.PDK) {
		_, err := kong.ServiceResponse.GetRawBody()
		require.ErrorContains(t, err, "with buffering only")
	})
	require.Len(t, f.texts, 1)
	f.texts = nil
}

func TestClient(t *testing.T) {
	e, _ := newEnv(t, get)
	e.in("access", func(kong *pdk.PDK) {
		c := kong.Client
		ip, err := c.GetIp()
		want(t, "10.10.10.1", ip, err)
		port, err := c.GetForwardedPort()
		want(t, 443, port, err)
		consumer, err := c.GetConsumer()
		want(t, entities.Consumer{Id: "001", Username: "Jon Doe"}, consumer, err)
		credential, err := c.GetCredential()
		want(t, client.AuthenticatedCredential{Id: "000:00", ConsumerId: "000:01"}, credential, err)
		consumer, err = c.LoadConsumer("Jon Doe", true)
		want(t, "001", consumer.Id, err)
		consumer, err = c.LoadConsumer("nobody", true)
		want(t, entities.Consumer{}, consumer, err)
		protocol, err := c.GetProtocol(false)
		want(t, "https", protocol, err)
		other := entities.Consumer{Id: "2", Username: "u", CustomId: "c", CreatedAt: 3, UpdatedAt: 4, Tags: []string{"t"}, WsId: "w"}
		require.NoError(t, c.Authenticate(&other, nil))
		consumer, err = c.GetConsumer()
		want(t, other, consumer, err)
		credential, err = c.GetCredential()
		want(t, client.AuthenticatedCredential{}, credential, err)
		require.NoError(t, c.Authenticate(nil, &client.AuthenticatedCredential{Id: "k"}))
		credential, err = c.GetCredential()
		want(t, client.AuthenticatedCredential{Id: "k"}, credential, err)
		e.Kong.CertificateChain = "pem"
		chain, err := c.TLS().GetFullClientCertificateChain()
		want(t, "pem", chain, err)
		require.NoError(t, c.TLS().SetClientVerify("NONE"))
		require.Equal(t, "NONE", e.Kong.ClientVerify)
	})
}

func TestContexts(t *testing.T) {
	e, _ := newEnv(t, get)
	e.Ctx.Store["before"] = 5
	e.in("rewrite", func(kong *pdk.PDK) {
		number, err := kong.Ctx.GetSharedFloat("before")
		want(t, 5.0, number, err)
		require.NoError(t, kong.Ctx.SetShared("list", []interface{}{1, "a"}))
		require.NoError(t, kong.Ctx.SetPlugin("own", "p"))
		require.NoError(t, kong.Nginx.SetCtx("n", 7))
	})
	require.Equal(t, []interface{}{1.0, "a"}, e.Ctx.Store["list"])
	e.in("access", func(kong *pdk.PDK) {
		list, err := kong.Ctx.GetSharedAny("list")
		want(t, interface{}([]interface{}{1.0, "a"}), list, err)
		own, err := kong.Ctx.GetPluginString("own")
		want(t, "p", own, err)
		n, err := kong.Nginx.GetCtxInt("n")
		want(t, 7, n, err)
		require.NoError(t, kong.Ctx.SetShared("list", nil))
		_, err = kong.Ctx.GetSharedString("list")
		require.EqualError(t, err, "expected type: string")
	})
	require.NotContains(t, e.Ctx.Store, "list")
}

func TestTheRest(t *testing.T) {
	e, _ := newEnv(t, get)
	e.Kong.Secrets["{vault://env/a}"], e.Kong.Vars["v"] = "secret", "value"
	e.Kong.Route.HeaderValues = map[string][]string{"x-h": {"1"}}
	e.Kong.Route.SourceParts = []entities.CIDRPort{{IP: "10.0.0.0/8"}}
	e.in("access", func(kong *pdk.PDK) {
		route, err := kong.Router.GetRoute()
		want(t, "route_66", route.Name, err)
		require.Equal(t, []string{"x-h: 1"}, route.Headers)
		require.Equal(t, []string{"10.0.0.0/8"}, route.Sources)
		service, err := kong.Router.GetService()
		want(t, *e.Kong.Service, service, err)
		e.Kong.Service = nil
		stats, err := kong.Node.GetMemoryStats()
		want(t, int64(4423543), stats.LuaSharedDicts.Kong.Capacity, err)
		require.Len(t, stats.WorkersLuaVms, 2)
		for expected, get := range map[string]func() (string, error){
			e.Kong.NodeID: kong.Node.GetId, e.Kong.ClusterID: kong.Cluster.GetId, e.Kong.PluginID: kong.Plugin.GetId,
			e.Kong.Hostname: kong.Node.GetHostname, "TLSv1.3": kong.Nginx.GetTLS1VersionStr,
			"value":  func() (string, error) { return kong.Nginx.GetVar("v") },
			"secret": func() (string, error) { return kong.Vault.Get("{vault://env/a}") },
		} {
			got, err := get()
			want(t, expected, got, err)
		}
		_, err = kong.Vault.Get("{vault://env/b}")
		require.ErrorContains(t, err, "could not get value from vault")
		reference, err := kong.Vault.ParseReference("{vault://env/a/k?x=y#2}")
		require.NoError(t, err)
		require.Equal(t, []interface{}{"vault", "env", "a", "k", 2, "y"}, []interface{}{reference.Scheme, reference.Name,
			reference.Resource, reference.Key, reference.Version, reference.Config["x"]})
		_, err = kong.Vault.ParseReference("a")
		require.ErrorContains(t, err, "not a reference [a]")
		trusted, err := kong.IP.IsTrusted("1.2.3.4")
		want(t, true, trusted, err)
		start, err := kong.Nginx.ReqStartTime()
		require.NoError(t, err)
		require.InDelta(t, float64(e.Kong.StartTime.UnixMilli())/1000, start, 0.001)
		require.NotNil(t, kong.Context())
	})
	e.in("access", func(kong *pdk.PDK) {
		service, err := kong.Router.GetService()
		want(t, entities.Service{}, service, err)
	})
}

func TestLog(t *testing.T) {
	e, _ := newEnv(t, get)
	e.in("access", func(kong *pdk.PDK) {
		require.NoError(t, kong.Log.Err("a ", 1, nil, true, fmt.Errorf(" e")))
		require.NoError(t, kong.Log.Emerg("b"))
		require.NoError(t, kong.Log.SetSerializeValue("own.a", 1, log.Set))
		require.NoError(t, kong.Log.SetSerializeValue("own.a", 2, log.Add))
		require.NoError(t, kong.Log.SetSerializeValue("own.b", 2, log.Replace))
	})
	require.Equal(t, []LogLine{{"err", "a 1niltrue e"}, {"emerg", "b"}}, e.Kong.Logs)
	e.in("log", func(kong *pdk.PDK) {
		text, err := kong.Log.Serialize()
		require.NoError(t, err)
		var m map[string]interface{}
		require.NoError(t, json.Unmarshal([]byte(text), &m))
		require.Equal(t, map[string]interface{}{"a": 1.0}, m["own"])
		require.Equal(t, "GET", m["request"].(map[string]interface{})["method"])
		require.Equal(t, "route_66", m["route"].(map[string]interface{})["name"])
	})
}
