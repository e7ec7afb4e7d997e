package host

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// traces returns the lines that the plugins first, second and third have
// logged, when there are n.
func traces(t *testing.T, h *Host, n int) []string {
	t.Helper()
	var found []string
	poll(t, fmt.Sprintf("%d trace lines", n), func() bool {
		text, err := h.ErrorLog()
		require.NoError(t, err)
		found = found[:0]
		for line := range strings.Lines(text) {
			if _, rest, ok := strings.Cut(line, "] TRACE "); ok {
				trace, _, _ := strings.Cut(rest, " while logging request")
				found = append(found, trace)
			}
		}
		return len(found) >= n
	})
	require.Len(t, found, n)
	return found
}

func TestPluginsRunByPriority(t *testing.T) {
	h := startHost(t, testOptions(t, `{
		"plugins": ["third", "first", "second"],
		"routes": [{"name": "r", "plugins": [{"name": "third"}, {"name": "first"}]}],
		"global_plugins": [{"name": "second"}]}`))
	answer := get(t, newClient(t), h.URL())
	require.Equal(t, "second:rewrite first:access second:access third:access "+
		"first:header_filter second:header_filter third:header_filter", answer.header.Get("X-Trace"))
	lines := traces(t, h, 3)
	require.Regexp(t, `third:header_filter (first:body_filter second:body_filter third:body_filter )+first:log runs \d$`, lines[0])
	require.Contains(t, lines[2], "first:log second:log third:log runs")
}

func TestNarrowestScopeWins(t *testing.T) {
	echo := startEcho(t)
	h := startHost(t, testOptions(t, `{
		"plugins": ["first"],
		"services": [
			{"name": "s", "url": "`+echo.URL+`", "plugins": [{"name": "first", "config": {"label": "service"}}]},
			{"name": "plain", "url": "`+echo.URL+`"}],
		"routes": [
			{"name": "route", "paths": ["/route"], "service": "s", "plugins": [{"name": "first", "config": {"label": "route"}}]},
			{"name": "service", "paths": ["/service"], "service": "s"},
			{"name": "global", "paths": ["/global"], "service": "plain"}],
		"global_plugins": [{"name": "first", "config": {"label": "global"}}]}`))
	client := newClient(t)
	for _, scope := range []string{"route", "service", "global"} {
		answer := get(t, client, h.URL()+"/"+scope)
		// rewrite comes before there is a route
		require.Equal(t, "first:rewrite=global first:access="+scope+" first:header_filter="+scope, answer.header.Get("X-Trace"))
	}
}

func TestExitInAccessSkipsLaterPlugins(t *testing.T) {
	h := startHost(t, testOptions(t, `{
		"plugins": ["first", "second", "third"],
		"routes": [{"name": "r", "plugins": [
			{"name": "first"}, {"name": "second", "config": {"exit": "access"}}, {"name": "third"}]}]}`))
	answer := get(t, newClient(t), h.URL())
	require.Equal(t, 418, answer.status)
	require.JSONEq(t, `{"plugin": "second", "phase": "access"}`, answer.body)
	require.Equal(t, "second", answer.header.Get("X-Exit"))
	require.Equal(t, "first:access second:access first:header_filter second:header_filter third:header_filter",
		answer.header.Get("X-Trace"))
	require.Contains(t, traces(t, h, 3)[2], "first:log second:log third:log")
}

func TestExitInRewriteSkipsRouting(t *testing.T) {
	h := startHost(t, testOptions(t, `{
		"plugins": ["first", "second"],
		"routes": [{"name": "r", "plugins": [{"name": "second"}]}],
		"global_plugins": [{"name": "first", "config": {"exit": "rewrite"}}]}`))
	answer := get(t, newClient(t), h.URL())
	require.Equal(t, 418, answer.status)
	require.JSONEq(t, `{"plugin": "first", "phase": "rewrite"}`, answer.body)
	require.Equal(t, "first:rewrite first:header_filter", answer.header.Get("X-Trace"))
	traces(t, h, 1)
}

func TestErrorInHandler(t *testing.T) {
	for phase, want := range map[string]struct {
		trace string
		lines int
	}{
		"rewrite": {"first:rewrite first:header_filter", 1},
		"access":  {"first:rewrite first:access first:header_filter second:header_filter", 2},
	} {
		t.Run(phase, func(t *testing.T) {
			h := startHost(t, testOptions(t, `{
				"plugins": ["first", "second"],
				"routes": [{"name": "r", "plugins": [{"name": "second"}]}],
				"global_plugins": [{"name": "first", "config": {"fail": "`+phase+`"}}]}`))
			answer := get(t, newClient(t), h.URL())
			require.Equal(t, 500, answer.status)
			require.JSONEq(t, `{"message": "An unexpected error occurred"}`, answer.body)
			require.Equal(t, want.trace, answer.header.Get("X-Trace"))
			traces(t, h, want.lines)
			text, err := h.ErrorLog()
			require.NoError(t, err)
			require.Regexp(t, `\[first\] failed to run `+phase+` handler: .*trace.lua:\d+: first fails in `+phase, text)
		})
	}
}

func TestErrorInLogIsOnlyLogged(t *testing.T) {
	h := startHost(t, testOptions(t, `{
		"plugins": ["first", "second"],
		"global_plugins": [{"name": "first", "config": {"fail": "log"}}, {"name": "second"}],
		"routes": [{"name": "r"}]}`))
	require.Equal(t, 200, get(t, newClient(t), h.URL()).status)
	require.Contains(t, traces(t, h, 1)[0], "first:log second:log")
	text, err := h.ErrorLog()
	require.NoError(t, err)
	require.Regexp(t, `\[first\] failed to run log handler: .*first fails in log`, text)
}

func TestErrorValueIsATable(t *testing.T) {
	h := startProbe(t)
	answer, _ := h.send(t, call{path: "/canned", raw: true, code: map[string]string{"access": `error({})`}})
	require.Equal(t, 500, answer.status)
}

func TestNoRoute(t *testing.T) {
	h := startHost(t, testOptions(t, `{
		"plugins": ["first", "second"],
		"routes": [{"name": "r", "paths": ["/r"], "plugins": [{"name": "second"}]}],
		"global_plugins": [{"name": "first"}]}`))
	answer := get(t, newClient(t), h.URL()+"/other")
	require.Equal(t, 404, answer.status)
	require.JSONEq(t, `{"message": "no Route matched with those values"}`, answer.body)
	require.Equal(t, "application/json; charset=utf-8", answer.header.Get("Content-Type"))
	require.Equal(t, "first:rewrite first:header_filter", answer.header.Get("X-Trace"), "global plugins only, and no access")
	traces(t, h, 1)
}

func TestRouting(t *testing.T) {
	h := startHost(t, testOptions(t, `{"routes": [
		{"name": "a", "paths": ["/a"], "respond": {"body": "a"}},
		{"name": "ab", "paths": ["/a/b", "/z"], "respond": {"body": "ab"}},
		{"name": "post", "paths": ["/a"], "methods": ["POST", "PUT"], "respond": {"body": "post"}},
		{"name": "host", "paths": ["/a"], "hosts": ["Host.TEST"], "respond": {"body": "host"}},
		{"name": "both", "paths": ["/a"], "hosts": ["host.test"], "methods": ["POST"], "respond": {"body": "both"}},
		{"name": "later", "paths": ["/a"], "respond": {"body": "later"}},
		{"name": "root", "hosts": ["root.test"], "respond": {"body": "root"}}]}`))
	for request, want := range map[string]string{
		"GET any.test /a":        "a",
		"GET any.test /ab":       "a",
		"GET any.test /a/b/c":    "ab",
		"GET any.test /z?/a":     "ab",
		"GET any.test //a//b":    "ab",
		"GET any.test /x/../a":   "a",
		"GET any.test /%61":      "a",
		"POST any.test /a":       "post",
		"PUT any.test /a":        "post",
		"GET host.test /a":       "host",
		"GET HOST.test:80 /a":    "host",
		"POST host.test /a":      "both",
		"POST host.test /a/b":    "ab",
		"GET root.test /nothing": "root",
		"GET any.test /nothing":  "",
		"GET any.test /A":        "",
	} {
		fields := strings.Fields(request)
		answer := sendRaw(t, h, fields[0]+" "+fields[2]+" HTTP/1.1\r\nHost: "+fields[1]+"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		if want == "" {
			require.Equal(t, 404, answer.status, request)
		} else {
			require.Equal(t, want, answer.body, request)
		}
	}
}

func TestCannedAnswer(t *testing.T) {
	h := startHost(t, testOptions(t, `{"routes": [
		{"name": "default", "paths": ["/default"]},
		{"name": "own", "paths": ["/own"], "respond": {"status": 202, "body": "text", "content_type": "text/plain"}}]}`))
	client := newClient(t)
	answer := get(t, client, h.URL()+"/default")
	require.Equal(t, 200, answer.status)
	require.JSONEq(t, `{"message": "ok"}`, answer.body)
	require.Equal(t, "application/json; charset=utf-8", answer.header.Get("Content-Type"))
	require.Equal(t, "16", answer.header.Get("Content-Length"))
	answer = get(t, client, h.URL()+"/own")
	require.Equal(t, 202, answer.status)
	require.Equal(t, "text", answer.body)
	require.Equal(t, "text/plain", answer.header.Get("Content-Type"))
}

func TestYieldingHandlers(t *testing.T) {
	h := startHost(t, testOptions(t, `{
		"plugins": ["first", "second"],
		"routes": [{"name": "r", "plugins": [
			{"name": "first", "config": {"sleep": 0.001}},
			{"name": "second", "config": {"sleep": 0.001, "exit": "access"}}]}]}`))
	var requests sync.WaitGroup
	answers := make([]reply, 20)
	client := newClient(t)
	for i := range answers {
		requests.Go(func() { answers[i] = get(t, client, h.URL()) })
	}
	requests.Wait()
	for _, answer := range answers {
		require.Equal(t, 418, answer.status)
		require.Equal(t, "first:access second:access first:header_filter second:header_filter", answer.header.Get("X-Trace"))
	}
}

func TestCosocketInAccess(t *testing.T) {
	h := startProbe(t)
	require.Equal(t, []any{"HTTP/1.1 200 OK"}, h.eval(t, "access", call{path: "/canned"}, `
		local socket = ngx.socket.tcp()
		assert(socket:connect("127.0.0.1", ngx.var.server_port))
		assert(socket:send("GET /canned HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"))
		local line = socket:receive() socket:close() return line`))
}

func TestBodyFilterSeesAndChangesBody(t *testing.T) {
	h := startProbe(t)
	answer, out := h.send(t, call{path: "/canned", code: map[string]string{
		"header_filter": `kong.response.clear_header("Content-Length")`,
		"body_filter":   `if ngx.arg[1] ~= "" then ngx.arg[1] = ngx.arg[1]:upper() end`,
	}})
	require.Empty(t, out["body_filter"].Err)
	require.Equal(t, `{"MESSAGE":"OK"}`, answer.body)
}

func TestResponsePhase(t *testing.T) {
	echo := startEcho(t)
	h := startHost(t, testOptions(t, `{
		"plugins": ["buffered", "first"],
		"services": [{"name": "s", "url": "`+echo.URL+`"}],
		"routes": [
			{"name": "seen", "paths": ["/seen"], "service": "s", "plugins": [{"name": "buffered"}, {"name": "first"}]},
			{"name": "replaced", "paths": ["/replaced"], "service": "s", "plugins": [{"name": "buffered", "config": {"status": 203}}]},
			{"name": "failed", "paths": ["/failed"], "service": "s", "plugins": [{"name": "buffered", "config": {"fail": true}}]}]}`))
	client := newClient(t)
	want := func(path, status string) reply {
		request, err := http.NewRequest(http.MethodPost, h.URL()+path, strings.NewReader("body"))
		require.NoError(t, err)
		request.Header.Set("X-Want-Status", status)
		return do(t, client, request)
	}

	answer := want("/seen", "404")
	require.Equal(t, 404, answer.status)
	require.Equal(t, "body", string(decodeSeen(t, answer).Body))
	require.Equal(t, "404", answer.header.Get("X-Seen-Status"))
	require.Equal(t, fmt.Sprint(len(answer.body)), answer.header.Get("X-Seen-Length"))
	require.Equal(t, "one", answer.header.Get("X-Seen-Header"))
	require.Equal(t, "0", answer.header.Get("X-Walked"), "as in Kong, buffered headers cannot be walked")
	require.Equal(t, []string{"a", "b"}, answer.header.Values("X-Twice"))
	require.Equal(t, "first:access first:header_filter", answer.header.Get("X-Trace"))

	answer = want("/replaced", "200")
	require.Equal(t, 203, answer.status)
	require.Equal(t, "replaced", answer.body)
	require.Equal(t, "one", answer.header.Get("X-Service"))

	answer = want("/failed", "200")
	require.Equal(t, 500, answer.status)
	require.JSONEq(t, `{"message": "An unexpected error occurred"}`, answer.body)
}

func TestBufferedResponseCanBeRead(t *testing.T) {
	h := startProbe(t)
	answer, out := h.send(t, call{path: "/proxy", code: map[string]string{
		"access": `kong.service.request.enable_buffering()`,
		"log": `return #kong.service.response.get_raw_body(), kong.service.response.get_status(),
			kong.service.response.get_header("X_SERVICE"), kong.service.response.get_header("absent")`,
	}})
	require.Equal(t, []any{float64(len(answer.body)), 200.0, "one", nil}, out["log"].Values)
}

func TestBufferedLocationIsInternal(t *testing.T) {
	h := startProbe(t)
	require.Equal(t, 404, get(t, h.client, h.URL()+"/kong_host_buffered").status)
}

func TestTruncatedServiceResponse(t *testing.T) {
	h := startProbe(t)
	answer, _ := h.send(t, call{path: "/proxy", header: map[string][]string{"X-Want-Cut": {"1"}},
		code: map[string]string{"access": `kong.service.request.enable_buffering()`}})
	require.Equal(t, 502, answer.status)
	require.JSONEq(t, `{"message": "failed to read response of service: truncated"}`, answer.body)
}

func TestBadRequestRunsGlobalPlugins(t *testing.T) {
	h := startHost(t, testOptions(t, `{
		"plugins": ["first"],
		"routes": [{"name": "r"}],
		"global_plugins": [{"name": "first"}]}`))
	require.Equal(t, 400, sendRaw(t, h, "GET / HTTP/1.1\r\n\r\n").status)
}

func TestConfigureGetsConfigurations(t *testing.T) {
	h := startProbe(t)
	text := h.result(t, "worker", "configure")
	require.Contains(t, text, `"__seq__"`)
	require.Contains(t, text, `"nested":{"list":[[]]}`)

	o := testOptions(t, `{"plugins": ["probe"]}`)
	idle := &probeHost{Host: startHost(t, o), client: newClient(t)}
	require.JSONEq(t, `{"values": [null]}`, idle.result(t, "worker", "configure"))
}
