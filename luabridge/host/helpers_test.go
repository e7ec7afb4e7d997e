package host

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// deadline bounds every wait in these tests. Only a failing test uses it up.
const deadline = 10 * time.Second

// results lets a test fetch what the plugin probe has kept.
const results = `
location = /results {
    content_by_lua_block {
        ngx.print(ngx.shared.results:get(ngx.var.arg_key) or "")
    }
}`

func requireNginx(t testing.TB) {
	t.Helper()
	if err := Available(); errors.Is(err, ErrUnavailable) {
		t.Skipf("needs nginx with the Lua module (Debian: nginx, libnginx-mod-http-lua): %v", err)
	} else {
		require.NoError(t, err)
	}
}

// writeFile writes a file into a new directory and returns its path.
func writeFile(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

func testOptions(t testing.TB, config string) Options {
	t.Helper()
	return Options{
		Prefix:      t.TempDir(),
		Config:      writeFile(t, "kong.json", config),
		LuaPath:     []string{"testdata/lua"},
		ExtraHTTP:   "lua_shared_dict results 1m;",
		ExtraServer: results,
	}
}

// startHost starts a host and stops it at the end of the test.
func startHost(t testing.TB, o Options) *Host {
	t.Helper()
	requireNginx(t)
	h, err := Start(context.Background(), o)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, h.Stop(context.Background()))
		if t.Failed() {
			text, err := h.ErrorLog()
			t.Logf("error log (%v):\n%s", err, text)
		}
	})
	return h
}

// newClient makes a client that keeps no connection beyond the test.
func newClient(t testing.TB) *http.Client {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: deadline}
}

// reply is a response that has been read.
type reply struct {
	status int
	header http.Header
	body   string
}

func do(t testing.TB, client *http.Client, request *http.Request) reply {
	t.Helper()
	response, err := client.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return reply{response.StatusCode, response.Header, string(body)}
}

func get(t testing.TB, client *http.Client, url string) reply {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, url, nil)
	require.NoError(t, err)
	return do(t, client, request)
}

// sendRaw sends bytes as they are, for requests that net/http would not make.
func sendRaw(t testing.TB, h *Host, text string) reply {
	t.Helper()
	conn, err := net.DialTimeout("tcp", h.Addr(), deadline)
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(time.Now().Add(deadline)))
	_, err = io.WriteString(conn, text)
	require.NoError(t, err)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return reply{response.StatusCode, response.Header, string(body)}
}

// poll waits until a condition outside this process holds.
func poll(t testing.TB, what string, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, deadline, pollInterval, what)
}

// seen is what the echo service got.
type seen struct {
	Method string
	URI    string
	Host   string
	Header http.Header
	Body   []byte
}

// startEcho starts a service that answers with what it was sent, with status
// and length as the request's X-Want-* headers say.
func startEcho(t testing.TB) *httptest.Server {
	server := httptest.NewServer(http.HandlerFunc(echo))
	t.Cleanup(server.Close)
	return server
}

func echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if r.Header.Get("X-Want-Hang") != "" {
		<-r.Context().Done()
		return
	}
	w.Header().Set("X-Service", "one")
	w.Header().Add("X-Twice", "a")
	w.Header().Add("X-Twice", "b")
	status := http.StatusOK
	if want := r.Header.Get("X-Want-Status"); want != "" {
		fmt.Sscan(want, &status)
	}
	if r.Header.Get("X-Want-Cut") != "" {
		w.Header().Set("Content-Length", "1000000")
	}
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(seen{r.Method, r.RequestURI, r.Host, r.Header, body})
}

func decodeSeen(t testing.TB, r reply) seen {
	t.Helper()
	var s seen
	require.NoError(t, json.Unmarshal([]byte(r.body), &s), "body %q", r.body)
	return s
}

// probed is what code in one phase returned or raised.
type probed struct {
	Values []any
	Err    string
}

var probeIDs atomic.Int64

// probeHost is a host whose routes /canned and /proxy, and whose requests
// without a route, run code that tests send along.
type probeHost struct {
	*Host
	client *http.Client
	echo   *httptest.Server
}

const probeConfig = `{
  "trusted_ips": ["127.0.0.1", "10.0.0.0/8", "::1"],
  "consumers": [
    {"id": "c0000000-0000-4000-8000-000000000001", "username": "ann", "custom_id": "7", "tags": ["x"]},
    {"username": "bob"}
  ],
  "plugins": ["probe"],
  "upstreams": [{"name": "other", "target": "%s"}],
  "services": [{"name": "echo", "url": "%s/base", "tags": ["s"]}],
  "routes": [
    {"name": "canned", "paths": ["/canned"], "tags": ["r"]},
    {"name": "proxy", "paths": ["/proxy"], "service": "echo"},
    {"name": "whole", "paths": ["/whole"], "service": "echo", "strip_path": false,
     "preserve_host": true, "protocols": ["http"]}
  ],
  "global_plugins": [{"name": "probe", "config": {"list": [], "map": {}, "nested": {"list": [[]]}, "null": null}}]
}`

func startProbe(t testing.TB) *probeHost {
	t.Helper()
	requireNginx(t)
	service := startEcho(t)
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set("X-Server", "other")
		echo(w, r)
	}))
	t.Cleanup(other.Close)
	config := fmt.Sprintf(probeConfig, strings.TrimPrefix(other.URL, "http://"), service.URL)
	return &probeHost{startHost(t, testOptions(t, config)), newClient(t), service}
}

// call is a request with code to run in some phases.
type call struct {
	method string // GET if empty
	path   string
	header map[string][]string
	body   string
	code   map[string]string // phase -> Lua
	raw    bool              // errors of the code are the handler's
}

// send makes the request and, when its log phase is over, returns the response
// and what the code gave in each phase.
func (h *probeHost) send(t testing.TB, c call) (reply, map[string]probed) {
	t.Helper()
	if c.method == "" {
		c.method = http.MethodGet
	}
	request, err := http.NewRequest(c.method, h.URL()+c.path, strings.NewReader(c.body))
	require.NoError(t, err)
	for name, values := range c.header {
		if strings.EqualFold(name, "host") {
			request.Host = values[0]
			continue
		}
		request.Header[name] = values
	}
	id := fmt.Sprint(probeIDs.Add(1))
	request.Header.Set("X-Probe", id)
	if c.raw {
		request.Header.Set("X-Raw", "1")
	}
	for phase, code := range c.code {
		request.Header.Set("X-Do-"+strings.ReplaceAll(phase, "_", "-"),
			base64.StdEncoding.EncodeToString([]byte(code)))
	}

	answer := do(t, h.client, request)
	poll(t, "log phase", func() bool { return h.result(t, id, "done") != "" })
	out := make(map[string]probed)
	for phase := range c.code {
		if text := h.result(t, id, phase); text != "" {
			out[phase] = decodeProbed(t, text)
		}
	}
	return answer, out
}

// eval runs code in one phase and returns its values.
func (h *probeHost) eval(t testing.TB, phase string, c call, code string) []any {
	t.Helper()
	c.code = map[string]string{phase: code}
	_, out := h.send(t, c)
	require.Empty(t, out[phase].Err)
	return out[phase].Values
}

// fail runs code in one phase and returns the error it raised.
func (h *probeHost) fail(t testing.TB, phase string, c call, code string) string {
	t.Helper()
	c.code = map[string]string{phase: code}
	_, out := h.send(t, c)
	require.NotEmpty(t, out[phase].Err, "values %v", out[phase].Values)
	return out[phase].Err
}

func (h *probeHost) result(t testing.TB, id, phase string) string {
	t.Helper()
	return get(t, h.client, h.URL()+"/results?key="+id+":"+phase).body
}

func decodeProbed(t testing.TB, text string) probed {
	t.Helper()
	var p probed
	decoder := json.NewDecoder(bytes.NewReader([]byte(text)))
	require.NoError(t, decoder.Decode(&p), "result %q", text)
	return p
}
