package host

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// proxied runs code in one phase and returns what the service then got.
func (h *probeHost) proxied(t *testing.T, phase string, c call, code string) seen {
	t.Helper()
	if c.path == "" {
		c.path = "/proxy/x?a=1"
	}
	c.code = map[string]string{phase: code}
	answer, out := h.send(t, c)
	require.Empty(t, out[phase].Err)
	require.Equal(t, 200, answer.status, answer.body)
	return decodeSeen(t, answer)
}

func TestServiceGetsTheRequest(t *testing.T) {
	h := startProbe(t)
	port := h.Addr()[strings.LastIndexByte(h.Addr(), ':')+1:]
	host := strings.TrimPrefix(h.echo.URL, "http://")

	got := h.proxied(t, "access", call{method: "PUT", path: "/proxy/x%20y?a=1&a", body: "body",
		header: map[string][]string{"Host": {"a.test"}, "X-Twice": {"1", "2"}}}, "return")
	require.Equal(t, "PUT", got.Method)
	require.Equal(t, "/base/x%20y?a=1&a", got.URI)
	require.Equal(t, host, got.Host)
	require.Equal(t, []string{"1", "2"}, got.Header["X-Twice"])
	require.Equal(t, "body", string(got.Body))
	for name, want := range map[string]string{
		"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "a.test",
		"X-Forwarded-Port": port, "X-Forwarded-Path": "/proxy/x%20y", "X-Forwarded-Prefix": "/proxy",
		"X-Real-Ip": "127.0.0.1", "Connection": "",
	} {
		require.Equal(t, want, got.Header.Get(name), name)
	}

	got = h.proxied(t, "access", call{path: "/whole/x?", header: map[string][]string{
		"Host": {"a.test:81"}, "X-Forwarded-For": {"192.0.2.1"}, "X-Forwarded-Proto": {"https"}}}, "return")
	require.Equal(t, "/base/whole/x?", got.URI)
	require.Equal(t, "a.test:81", got.Host)
	require.Equal(t, "192.0.2.1, 127.0.0.1", got.Header.Get("X-Forwarded-For"))
	require.Equal(t, "https", got.Header.Get("X-Forwarded-Proto"))
	require.Empty(t, got.Header.Values("X-Forwarded-Prefix"))
}

func TestServicePathJoins(t *testing.T) {
	echo := startEcho(t)
	o := testOptions(t, `{
		"services": [
			{"name": "none", "url": "`+echo.URL+`"},
			{"name": "slash", "url": "`+echo.URL+`/"},
			{"name": "base", "url": "`+echo.URL+`/b"},
			{"name": "dir", "url": "`+echo.URL+`/b/"}],
		"routes": [
			{"name": "none", "paths": ["/none"], "service": "none"},
			{"name": "slash", "paths": ["/slash/"], "service": "slash"},
			{"name": "base", "paths": ["/base"], "service": "base"},
			{"name": "dir", "paths": ["/dir"], "service": "dir"},
			{"name": "whole", "paths": ["/whole"], "service": "dir", "strip_path": false},
			{"name": "host", "hosts": ["dir.test"], "service": "dir"},
			{"name": "keep", "hosts": ["keep.test"], "service": "base", "strip_path": false},
			{"name": "root", "service": "base"}]}`)
	h := startHost(t, o)
	client := newClient(t)
	for path, want := range map[string]string{
		"/none": "/", "/none/": "/", "/none/x": "/x", "/nonex": "/x",
		"/slash/": "/", "/slash/x": "/x",
		"/base": "/b", "/base/": "/b/", "/base/x": "/b/x", "/basex": "/b/x",
		"/dir": "/b", "/dir/": "/b/", "/dir/x": "/b/x", "/dirx": "/b/x",
		"/whole": "/b/whole", "/whole/": "/b/whole/", "/other": "/b/other", "/": "/b",
	} {
		require.Equal(t, want, decodeSeen(t, get(t, client, h.URL()+path)).URI, path)
	}
	for host, want := range map[string]string{"dir.test": "/b/", "keep.test": "/b"} {
		request, err := http.NewRequest(http.MethodGet, h.URL()+"/", nil)
		require.NoError(t, err)
		request.Host = host
		require.Equal(t, want, decodeSeen(t, do(t, client, request)).URI, host)
	}
}

func TestServiceRequestSetters(t *testing.T) {
	h := startProbe(t)
	c := call{header: map[string][]string{"X-Old": {"old"}, "X-Gone": {"g"}, "X_Gone": {"h"}}}

	got := h.proxied(t, "access", c, `kong.service.request.set_path("/p q/%41?x")`)
	require.Equal(t, "/p%20q/%41?x?a=1", got.URI)

	got = h.proxied(t, "access", c, `kong.service.request.set_raw_query("z=%20&y")
		return kong.request.get_raw_query() == "z=%20&y" or error("query")`)
	require.Equal(t, "/base/x?z=%20&y", got.URI)
	got = h.proxied(t, "access", c, `kong.service.request.set_raw_query("")`)
	require.Equal(t, "/base/x", got.URI)
	got = h.proxied(t, "rewrite", c, `kong.service.request.set_query({ b = { "1", "2" }, a = "x y", c = true, d = 5 })`)
	require.Equal(t, "/base/x?a=x%20y&b=1&b=2&c&d=5", got.URI)

	got = h.proxied(t, "access", c, `kong.service.request.set_method("PATCH")
		return kong.request.get_method() == "PATCH" or error("method")`)
	require.Equal(t, "PATCH", got.Method)

	got = h.proxied(t, "rewrite", c, `local r = kong.service.request
		r.set_header("X-New", "new") r.set_header("x_old", 7) r.set_header("X-Many", { "a", "b" })
		r.set_header("X-Bool", false) r.add_header("X-Many", "c") r.add_header("X-Many", { "d", "" })
		r.add_header("X-First", "f") r.clear_header("x-gone")
		r.set_headers({ ["X-Set"] = "s", ["X-Sets"] = { "t", "u" }, ["X-New"] = {} })
		local _, err = r.set_header(":authority", "a") return err:find("non-grpc", 1, true) or error(err)`)
	for name, want := range map[string][]string{
		"X-New": nil, "X-Many": {"a", "b", "c", "d", ""}, "X-Bool": {"false"}, "X-First": {"f"},
		"X-Set": {"s"}, "X-Sets": {"t", "u"}, "X-Gone": nil,
	} {
		require.Equal(t, want, got.Header[name], name)
	}

	got = h.proxied(t, "access", c, `kong.service.request.set_header("Host", "new.test")
		return kong.request.get_host() == "new.test" or error("host")`)
	require.Equal(t, "new.test", got.Host)
	got = h.proxied(t, "access", c, `kong.service.request.set_headers({ host = "other.test" })`)
	require.Equal(t, "other.test", got.Host)
	got = h.proxied(t, "access", c, `kong.service.request.add_header("host", "third.test")`)
	require.Equal(t, "third.test", got.Host)
}

func TestServiceRequestBody(t *testing.T) {
	h := startProbe(t)
	large := strings.Repeat("x", 100_000)
	for _, phase := range []string{"rewrite", "access"} {
		got := h.proxied(t, phase, call{method: "POST", body: large}, `kong.service.request.set_raw_body("\0new")
			return kong.request.get_raw_body() == "\0new" or error("body")`)
		require.Equal(t, "\x00new", string(got.Body))
		got = h.proxied(t, phase, call{method: "POST"}, `kong.service.request.set_raw_body(("y"):rep(100000))`)
		require.Len(t, got.Body, 100_000)
	}
}

func TestSetTarget(t *testing.T) {
	h := startProbe(t)
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Other", "yes")
		echo(w, r)
	}))
	t.Cleanup(other.Close)
	_, port, err := net.SplitHostPort(other.Listener.Addr().String())
	require.NoError(t, err)

	for _, host := range []string{"127.0.0.1", "localhost"} {
		answer, _ := h.send(t, call{path: "/proxy/x", code: map[string]string{
			"access": `kong.service.set_target("` + host + `", ` + port + `)`}})
		require.Equal(t, "yes", answer.header.Get("X-Other"))
		require.Equal(t, host, decodeSeen(t, answer).Host)
	}

	_, out := h.send(t, call{path: "/proxy", code: map[string]string{
		"rewrite": `kong.service.set_target("localhost", ` + port + `)`}})
	require.Contains(t, out["rewrite"].Err, "attempt to index field 'balancer_data'")

	answer, out := h.send(t, call{path: "/proxy", code: map[string]string{
		"access": `kong.service.set_target("host.invalid", 80)`,
		"log":    `return kong.response.get_source()`,
	}})
	require.Equal(t, 503, answer.status)
	require.JSONEq(t, `{"message": "name resolution failed"}`, answer.body)
	require.Equal(t, []any{"exit"}, out["log"].Values)
}

func TestSetScheme(t *testing.T) {
	h := startProbe(t)
	secure := httptest.NewTLSServer(http.HandlerFunc(echo))
	t.Cleanup(secure.Close)
	_, port, err := net.SplitHostPort(secure.Listener.Addr().String())
	require.NoError(t, err)
	got := h.proxied(t, "access", call{path: "/proxy/tls"}, `kong.service.request.set_scheme("https")
		kong.service.set_target("127.0.0.1", `+port+`)`)
	require.Equal(t, "/base/tls", got.URI)
}

func TestBadGateway(t *testing.T) {
	h := startProbe(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := listener.Addr().(*net.TCPAddr).Port
	require.NoError(t, listener.Close())
	answer, out := h.send(t, call{path: "/proxy", code: map[string]string{
		"access": `kong.service.set_target("127.0.0.1", ` + strconv.Itoa(port) + `)`,
		"log":    `return kong.response.get_status(), kong.service.response.get_status()`,
	}})
	require.Equal(t, 502, answer.status)
	require.Equal(t, []any{502.0, 502.0}, out["log"].Values)
}

func TestBodiesPassBothWays(t *testing.T) {
	h := startProbe(t)
	const size = 1 << 20
	body := make([]byte, size)
	for i := range body {
		body[i] = byte(i * 7 >> 3)
	}
	for name, code := range map[string]map[string]string{
		"streamed": {},
		"buffered": {"access": `kong.service.request.enable_buffering()`},
		"read":     {"access": `kong.request.get_raw_body()`},
	} {
		answer, out := h.send(t, call{method: "POST", path: "/proxy", body: string(body), code: code})
		require.Empty(t, out["access"].Err)
		var got seen
		require.NoError(t, json.Unmarshal([]byte(answer.body), &got))
		require.Equal(t, body, got.Body, name)
		require.Greater(t, len(answer.body), size, name)
	}
}

func TestUpstreamConnectionsAreKept(t *testing.T) {
	connections := make(chan net.Conn, 100)
	server := httptest.NewUnstartedServer(http.HandlerFunc(echo))
	server.Config.ConnState = func(c net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections <- c
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	h := startHost(t, testOptions(t, `{"services": [{"name": "s", "url": "`+server.URL+`"}],
		"routes": [{"name": "r", "service": "s"}]}`))
	client := newClient(t)
	for range 5 {
		require.Equal(t, 200, get(t, client, h.URL()).status)
	}
	require.Len(t, connections, 1)
}
