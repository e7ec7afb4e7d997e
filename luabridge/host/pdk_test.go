package host

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParsedBodies(t *testing.T) {
	h := startProbe(t)
	ask := func(mime, body, code string) []any {
		t.Helper()
		return h.eval(t, "access", call{path: "/canned", method: "POST", body: body,
			header: map[string][]string{"Content-Type": {mime}}}, code)
	}
	const get = "return kong.request.get_body()"
	form := "application/x-www-form-urlencoded"
	require.Equal(t, []any{map[string]any{"a": []any{"1", "2"}, "b": true}, nil, form}, ask(form+"; charset=utf-8", "a=1&a=2&b", get))
	require.Equal(t, []any{map[string]any{"a": "1"}, nil, form}, ask(form, "a=1&b=2", "return kong.request.get_body(nil, 1)"))
	require.Equal(t, []any{map[string]any{"a": []any{1.0}}, nil, "application/json"}, ask("application/JSON", `{"a":[1]}`, get))
	require.Equal(t, []any{nil, "invalid json body", "application/json"}, ask("application/json", `"a"`, get))
	require.Equal(t, []any{map[string]any{"a": 1.0}, nil, "application/json"},
		ask("text/plain", `{"a":1}`, `return kong.request.get_body("application/json")`))
	require.Equal(t, []any{nil, "unsupported content type 'text/plain'", "text/plain"}, ask("text/plain", "a", get))
	require.Equal(t, []any{nil, "missing content type", nil}, append(h.eval(t, "access",
		call{path: "/canned", method: "POST", body: "a"}, get), nil)[:3])
	parts := "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n" +
		"--x\r\nContent-Disposition: form-data; filename=\"f\"; name=\"b\"\r\nContent-Type: text/plain\r\n\r\n2\r\n3\r\n--x--\r\n"
	require.Equal(t, []any{map[string]any{"a": "1", "b": "2\r\n3"}, nil, "multipart/form-data"},
		ask("multipart/form-data; boundary=x", parts, get))
	require.Equal(t, []any{nil, "malformed multipart body", "multipart/form-data"},
		ask("multipart/form-data; boundary=x", parts[:30], get))

	_, out := h.send(t, call{path: "/canned", code: map[string]string{"access": `return kong.request.get_body(nil, 1001)`}})
	require.Contains(t, out["access"].Err, "max_args must be <= 1000")
}

func TestSetBody(t *testing.T) {
	h := startProbe(t)
	c := call{method: "POST", body: "before", header: map[string][]string{"Content-Type": {"text/plain"}}}
	for code, want := range map[string][2]string{
		`assert(kong.service.request.set_body({ b = { "1", "2" }, a = "x y" }, "application/x-www-form-urlencoded"))`: {
			"application/x-www-form-urlencoded", "a=x%20y&b=1&b=2"},
		`assert(kong.service.request.set_body({ a = { 1 } }, "application/json"))`: {"application/json", `{"a":[1]}`},
		`assert(kong.service.request.set_body({ a = true }, "multipart/form-data; boundary=x"))`: {
			"multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\ntrue\r\n--x--\r\n"},
		`local ok, err = pcall(kong.service.request.set_body, { a = "b" })
			assert(not ok and err == "unsupported content type text/plain", err)`: {"text/plain", "before"},
		`local _, err = kong.service.request.set_body({ a = {} }, "multipart/form-data")
			assert(err == 'invalid value "a": got table, expected string, number or boolean', err)`: {"text/plain", "before"},
	} {
		got := h.proxied(t, "access", c, code)
		require.Equal(t, want[0], got.Header.Get("Content-Type"), code)
		require.Equal(t, want[1], string(got.Body), code)
	}
}

func TestClearQueryArg(t *testing.T) {
	h := startProbe(t)
	got := h.proxied(t, "rewrite", call{path: "/proxy/x?b=2&a=1&%61=3&c&b=4"}, `kong.service.request.clear_query_arg("a")`)
	require.Equal(t, "/base/x?b=2&c&b=4", got.URI)
	got = h.proxied(t, "access", call{path: "/proxy/x?a"}, `kong.service.request.clear_query_arg("a")`)
	require.Equal(t, "/base/x", got.URI)
}

func TestUpstreamsAndLimits(t *testing.T) {
	h := startProbe(t)
	got := h.proxied(t, "access", call{path: "/proxy/x"}, `assert(kong.service.set_upstream("other"))
		kong.service.set_retries(0) kong.service.set_timeouts(1000, 1000, 1000)`)
	require.Equal(t, "other", got.Header.Get("X-Server"))

	require.Equal(t, []any{nil, "could not find an Upstream named 'none'"},
		h.eval(t, "access", call{path: "/canned"}, `return kong.service.set_upstream("none")`))
	for code, want := range map[string]string{
		"kong.service.set_retries(1.5)":                "retries must be an integer",
		"kong.service.set_retries(-1)":                 "retries must be an integer between 0 and 32767: given -1",
		"kong.service.set_timeouts(1, 0, 1)":           "write_timeout must be an integer between 1 and 2147483646: given 0",
		`kong.service.set_upstream(7)`:                 "host must be a string",
		"kong.service.set_tls_verify(1)":               "argument must be a boolean",
		"kong.service.set_tls_verify_depth(-1)":        "not negative",
		`kong.client.tls.set_client_verify("MAYBE")`:   "unknown client verify value: MAYBE",
		"kong.client.tls.request_client_certificate()": "function cannot be called in access phase (only in: certificate)",
	} {
		_, out := h.send(t, call{path: "/canned", code: map[string]string{"access": code}})
		require.Contains(t, out["access"].Err, want, code)
	}
	_, out := h.send(t, call{path: "/canned", code: map[string]string{"rewrite": "kong.service.set_retries(1)"}})
	require.Contains(t, out["rewrite"].Err, "cannot be called in rewrite phase")
}

// A service that never answers, with a plugin that does not wait for it.
func TestTimeoutOfAPlugin(t *testing.T) {
	h := startProbe(t)
	answer, _ := h.send(t, call{path: "/proxy/x", header: map[string][]string{"X-Want-Hang": {"yes"}},
		code: map[string]string{"access": "kong.service.set_timeouts(1000, 1000, 50) kong.service.set_retries(0)"}})
	require.Equal(t, 504, answer.status)
}

func TestClientTLS(t *testing.T) {
	h := startProbe(t)
	require.Equal(t, []any{nil, "connection is not TLS or TLS support for Nginx not enabled", "FAILED:x"},
		h.eval(t, "access", call{path: "/canned"}, `kong.client.tls.set_client_verify("FAILED:x")
			local chain, err = kong.client.tls.get_full_client_certificate_chain()
			return chain, err, ngx.ctx.CLIENT_VERIFY_OVERRIDE`))
}

func TestVaultAndCluster(t *testing.T) {
	require.NoError(t, os.Setenv("KONG_HOST_TEST_SECRET", `{"a":"b"}`))
	t.Cleanup(func() { _ = os.Unsetenv("KONG_HOST_TEST_SECRET") })
	h := startProbe(t)
	require.Equal(t, []any{
		`{"a":"b"}`, "b", "b", "could not get value from vault (env) [{vault://env/kong-host-test-secret/z}]",
		"could not find vault (aws) [{vault://aws/x}]", "not a reference [x]", true, false, false,
	}, h.eval(t, "rewrite", call{path: "/canned"}, `local v = kong.vault
		local function err(...) return (select(2, v.get(...))) end
		return v.get("{vault://env/kong-host-test-secret}"), v.get("{vault://env/KONG_HOST_TEST_SECRET/a}"),
			v.get("{vault://env/test-secret/a?prefix=kong-host-}"), err("{vault://env/kong-host-test-secret/z}"),
			err("{vault://aws/x}"), err("x"), v.is_reference("{vault://a/b}"), v.is_reference("{vault://}"), v.is_reference(7)`))
	require.Equal(t, []any{map[string]any{"scheme": "vault", "name": "n", "resource": "r s", "key": "k",
		"config": map[string]any{"a": "1 2"}, "version": 3.0}},
		h.eval(t, "rewrite", call{path: "/canned"}, `return (kong.vault.parse_reference("{vault://n/r%20s/k?a=1%202#3}"))`))
	ids := h.eval(t, "log", call{path: "/canned"}, `return kong.cluster.get_id(), kong.node.get_id()`)
	require.Regexp(t, "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", ids[0])
	require.NotEqual(t, ids[1], ids[0])
}
