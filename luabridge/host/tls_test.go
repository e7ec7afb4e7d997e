package host

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/luabridge/testcert"
)

// tlsHost is a host with TLS whose plugins run code in the handshake, and in the
// phases of a request to any path.
type tlsHost struct {
	*probeHost
	trust *tls.Config
}

func startTLS(t testing.TB) *tlsHost {
	t.Helper()
	requireNginx(t)
	pair, err := testcert.New("127.0.0.1", nil)
	require.NoError(t, err)
	o := testOptions(t, `{
		"plugins": ["handshake", "probe"], "routes": [{"name": "r"}],
		"global_plugins": [{"name": "handshake"}, {"name": "probe"}]
	}`)
	o.Certificate, o.Key, err = pair.Write(t.TempDir())
	require.NoError(t, err)
	o.ExtraServer += `location = /code { content_by_lua_block { ngx.shared.results:set("code", ngx.unescape_uri(ngx.var.args)) } }`
	h := &tlsHost{&probeHost{startHost(t, o), nil, nil}, pair.Trusting()}
	h.client = newClient(t)
	return h
}

// during sets the code that runs in handshakes.
func (h *tlsHost) during(t testing.TB, code string) {
	t.Helper()
	require.Equal(t, 200, get(t, h.client, h.URL()+"/code?"+url.PathEscape(code)).status)
}

// gave is what the code in the last handshake returned.
func (h *tlsHost) gave(t testing.TB) (values []any) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(get(t, h.client, h.URL()+"/results?key=certificate").body), &values))
	return values
}

// shake makes a connection and a request with Lua code for a phase, and gives
// what that returned, and the connection's state.
func (h *tlsHost) shake(t testing.TB, config *tls.Config, phase, code string) ([]any, tls.ConnectionState) {
	t.Helper()
	secure := &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}, Timeout: deadline}
	var state tls.ConnectionState
	plain := h.client
	h.client = &http.Client{Timeout: deadline, Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		if r.URL.Path != "/" {
			return plain.Do(r)
		}
		r.URL.Scheme, r.URL.Host = "https", strings.TrimPrefix(h.TLSURL(), "https://")
		response, err := secure.Transport.RoundTrip(r)
		if err == nil {
			state = *response.TLS
		}
		return response, err
	})}
	defer func() { h.client = plain }()
	return h.eval(t, phase, call{path: "/"}, code), state
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestCertificatePhase(t *testing.T) {
	h := startTLS(t)
	h.during(t, `kong.log.notice("in the handshake")
		kong.ctx.shared.mine, kong.ctx.plugin.mine, ngx.ctx.mine = 1, 2, 3
		ngx.sleep(0.001)
		local _, forbidden = pcall(kong.request.get_path)
		local _, disabled = pcall(kong.client.get_ip)
		return ngx.ctx.KONG_PHASE, kong.ctx.shared.mine, kong.ctx.plugin.mine, ngx.ctx.mine, forbidden, disabled,
			require("ngx.ssl").get_tls1_version_str()`)
	later, state := h.shake(t, h.trust, "access", `return ngx.ctx.mine, kong.ctx.shared.mine, kong.ctx.plugin.mine, kong.request.get_scheme(), kong.client.get_ip()`)
	require.Equal(t, []any{nil, nil, nil, "https", "127.0.0.1"}, later)
	require.Equal(t, uint16(tls.VersionTLS13), state.Version)

	values := h.gave(t)
	require.Equal(t, []any{2.0, 1.0, 2.0, 3.0}, values[:4])
	require.Contains(t, values[4], "kong.request.get_path: function cannot be called in certificate phase")
	require.Contains(t, values[5], "API disabled in the current context")
	require.Equal(t, "TLSv1.3", values[6])
	text, err := h.ErrorLog()
	require.NoError(t, err)
	require.Contains(t, text, "in the handshake")
}

func TestErrorEndsTheHandshake(t *testing.T) {
	h := startTLS(t)
	h.during(t, `error("not today")`)
	conn, err := tls.Dial("tcp", strings.TrimPrefix(h.TLSURL(), "https://"), h.trust)
	if err == nil {
		conn.Close()
	}
	require.ErrorContains(t, err, "remote error: tls: internal error")
	h.during(t, `return 1`)
	h.shake(t, h.trust, "access", "return 1")
}

func TestSessionReuse(t *testing.T) {
	h := startTLS(t)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for code, resumed := range map[string]bool{
			`return true`: true,
			`return kong.client.tls.disable_session_reuse()`: false,
		} {
			t.Run(fmt.Sprintf("%s/%v", tls.VersionName(version), resumed), func(t *testing.T) {
				config := h.trust.Clone()
				config.MaxVersion, config.ClientSessionCache = version, tls.NewLRUClientSessionCache(4)
				h.during(t, code)
				h.shake(t, config, "access", "return 1")
				_, second := h.shake(t, config, "access", "return 1")
				require.Equal(t, version, second.Version)
				require.Equal(t, resumed, second.DidResume)
				require.Equal(t, []any{true}, h.gave(t))
			})
		}
	}
}

func TestClientCertificate(t *testing.T) {
	h := startTLS(t)
	root, err := testcert.New("root.test", nil)
	require.NoError(t, err)
	client, err := testcert.New("client.test", root)
	require.NoError(t, err)
	config := h.trust.Clone()
	config.Certificates = []tls.Certificate{client.Certificate}
	const chain = `return kong.client.tls.get_full_client_certificate_chain()`

	h.during(t, "return 1")
	got, _ := h.shake(t, config, "access", chain)
	require.Equal(t, []any{nil}, got, "nobody asked for it")

	h.during(t, "return kong.client.tls.request_client_certificate()")
	got, _ = h.shake(t, config, "access", chain)
	require.Equal(t, []any{true}, h.gave(t))
	require.Equal(t, []any{string(client.PEM())}, got)
	got, _ = h.shake(t, h.trust, "access", chain)
	require.Equal(t, []any{nil}, got, "the client has none")
}

func TestSerializedTLS(t *testing.T) {
	h := startTLS(t)
	h.during(t, "return 1")
	got, state := h.shake(t, h.trust, "log", `return kong.log.serialize().request.tls`)
	require.Equal(t, []any{map[string]any{
		"version": "TLSv1.3", "cipher": tls.CipherSuiteName(state.CipherSuite), "client_verify": "NONE",
	}}, got)
}

func TestTLSOptions(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"no key":         func(o *Options) { o.Certificate = "a" },
		"no certificate": func(o *Options) { o.Key = "a" },
		"address alone":  func(o *Options) { o.TLSListen = "127.0.0.1:0" },
	} {
		t.Run(name, func(t *testing.T) {
			o := testOptions(t, plainConfig)
			change(&o)
			_, err := Start(t.Context(), o)
			require.ErrorContains(t, err, "certificate")
		})
	}
}
