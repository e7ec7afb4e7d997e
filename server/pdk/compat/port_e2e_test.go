package compat

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/luabridge"
	"github.com/kongring/kongring/luabridge/host"
	"github.com/kongring/kongring/luabridge/pages"
	"github.com/kongring/kongring/luabridge/testbed"
)

const annID = "5f3a6f4e-6f0b-4a3a-9d39-0a4d8f3c1a01"

// serve puts a ported plugin behind nginx, on a route to an upstream that
// answers with what it got, and gives a function for requests to it.
// env is set for the plugin server alone, not for the plugins' own tests; more
// alters the options.
func serve(t *testing.T, plugin string, env map[string]string, config object, more ...func(*testbed.Options)) (
	bed *testbed.Bed, do func(method, path, body string, headers ...string) *http.Response,
) {
	t.Helper()
	if err := host.Available(); err != nil {
		t.Skip(err)
	}
	_, after := port(t)
	for name, value := range env {
		t.Setenv(name, value)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	dir, err := os.MkdirTemp("", "kr") // short: a socket lies in it
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	library, err := luabridge.BuildHelper("cc", dir)
	require.NoError(t, err)
	o := testbed.Options{
		Build: testbed.Build{Root: pages.Root(t), Server: filepath.Join(after, plugin, plugin), Library: library},
		Dir:   dir,
		Config: testbed.Config{
			"plugins":   []string{plugin},
			"consumers": []object{{"id": annID, "username": "ann"}},
			"services":  []object{{"name": "s", "url": "UPSTREAM"}},
			"routes": []object{{
				"name": "r", "paths": []string{"/"}, "service": "s",
				"plugins": []object{{"name": plugin, "config": config}},
			}},
		},
	}
	for _, change := range more {
		change(&o)
	}
	bed, err = testbed.Start(ctx, o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, bed.Stop(ctx)) })
	require.NoError(t, testbed.Eventually(ctx, time.Minute, "a worker over the ring", func() bool {
		stats, err := bed.Server.Stats()
		return err == nil && len(stats.Sessions) == 1 && stats.Sessions[0].Carrier == "ring"
	}))
	// the line that the guide names
	require.NoError(t, testbed.Eventually(ctx, time.Minute, "a line in nginx's log", func() bool {
		text, err := bed.Host.ErrorLog()
		return err == nil && strings.Contains(text, "[kongring] attached to "+bed.Socket())
	}))
	bed.Client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

	do = func(method, path, body string, headers ...string) *http.Response {
		t.Helper()
		request, err := http.NewRequestWithContext(ctx, method, bed.Host.URL()+path, strings.NewReader(body))
		require.NoError(t, err)
		for i := 0; i < len(headers); i += 2 {
			request.Header.Add(headers[i], headers[i+1])
		}
		response, err := bed.Client.Do(request)
		require.NoError(t, err)
		text, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		response.Body = io.NopCloser(bytes.NewReader(text))
		return response
	}
	return bed, do
}

func bodyOf(t *testing.T, r *http.Response) string {
	t.Helper()
	text, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	return string(text)
}

// token makes what the plugin session takes for a session.
func token(key, subject string, expires time.Time) string {
	claims := fmt.Sprintf(`{"iss":"us","sub":%q,"exp":%d,"scopes":["read"]}`, subject, expires.Unix())
	encode := base64.RawURLEncoding.EncodeToString
	text := encode([]byte(`{"alg":"HS256","kid":"env"}`)) + "." + encode([]byte(claims))
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(text))
	return text + "." + encode(mac.Sum(nil))
}

func TestPortedSession(t *testing.T) {
	_, do := serve(t, "session", map[string]string{"SESSION_KEY": "secret"}, object{
		"issuer": "us", "scopes": []string{"read"}, "anonymous_paths": []string{"/health"},
		"login": object{"url": "https://id.example.com/login", "back_arg": "back"},
		"pass":  object{"fixed": object{"X-Realm": "example"}, "hide_token": true},
	})
	valid := token("secret", "ann", time.Now().Add(time.Hour))

	r := do("GET", "/a", "", "Authorization", "Bearer "+valid)
	require.Equal(t, 200, r.StatusCode, bodyOf(t, r))
	require.Equal(t, "ann", r.Header.Get("X-Got-Session-User"), "the service learns who asks")
	require.Equal(t, "example", r.Header.Get("X-Got-Realm"))
	require.NotEmpty(t, r.Header.Get("X-Session-Expires"))

	r = do("GET", "/a", "", "Cookie", "x=y; session="+valid)
	require.Equal(t, "ann", r.Header.Get("X-Got-Session-User"))

	r = do("GET", "/health/live", "")
	require.Equal(t, 200, r.StatusCode)
	require.Empty(t, r.Header.Get("X-Got-Session-User"))

	r = do("GET", "/a?b=c", "", "Accept", "text/html")
	require.Equal(t, 302, r.StatusCode)
	require.Equal(t, "https://id.example.com/login?back="+url.QueryEscape("/a?b=c"), r.Header.Get("Location"))
	require.Equal(t, "session=; Path=/; Max-Age=0", r.Header.Get("Set-Cookie"))

	for message, bad := range map[string]string{
		"no session":              "",
		"the signature is wrong":  token("guessed", "ann", time.Now().Add(time.Hour)),
		"the session has expired": token("secret", "ann", time.Now().Add(-time.Hour)),
	} {
		r = do("GET", "/a", "", "Authorization", "Bearer "+bad)
		require.Equal(t, 401, r.StatusCode, message)
		require.JSONEq(t, fmt.Sprintf(`{"message":%q}`, message), bodyOf(t, r))
		require.Empty(t, r.Header.Get("X-Upstream-Path"), "the service was not asked")
	}
	r = do("GET", "/a", "", "Authorization", "Bearer "+token("secret", "bob", time.Now().Add(time.Hour)))
	require.Equal(t, 403, r.StatusCode, "a user that Kong does not know")
}

func TestPortedLogger(t *testing.T) {
	dir := t.TempDir()
	bed, do := serve(t, "reqlog", map[string]string{"REQLOG_DIR": dir}, object{
		"file": "lines", "tags": object{"env": "test"}, "sampled": []object{{"prefix": "/quiet"}},
		"bodies": object{"request": true, "response": true, "max": 4},
	})
	r := do("GET", "/quiet", "")
	require.Equal(t, 200, r.StatusCode)
	r = do("POST", "/a?q=1&q=2", "to the upstream", "Authorization", "Bearer x")
	require.Equal(t, 200, r.StatusCode)
	require.Equal(t, "to the upstream", bodyOf(t, r), "the body passes as it is")
	require.Equal(t, "body", r.Header.Get("X-Logged"))

	var text []byte
	require.NoError(t, testbed.Eventually(context.Background(), 30*time.Second, "a line", func() bool {
		text, _ = os.ReadFile(filepath.Join(dir, "lines"))
		return bytes.HasSuffix(text, []byte("\n"))
	}), bed.Server.Log())
	require.Equal(t, 1, bytes.Count(text, []byte("\n")), "%s", text)
	var line struct {
		Method, Path, Request, Response, Service string
		Status                                   int
		Query, Headers                           map[string][]string
		Tags                                     map[string]string
		Kong                                     object
	}
	require.NoError(t, json.Unmarshal(text, &line))
	require.Equal(t, []interface{}{"POST", "/a", "to t", "to t", "s", 200},
		[]interface{}{line.Method, line.Path, line.Request, line.Response, line.Service, line.Status})
	require.Equal(t, []string{"1", "2"}, line.Query["q"])
	require.Equal(t, []string{"hidden"}, line.Headers["authorization"])
	require.Equal(t, map[string]string{"env": "test"}, line.Tags)
	require.Equal(t, "127.0.0.1", line.Kong["client_ip"])
}

func TestPortedUpstreamAuth(t *testing.T) {
	_, do := serve(t, "upstream-auth", map[string]string{"UPSTREAM_AUTH_SECRET": "secret"},
		object{"sign_body": true, "strip": []string{"X-Auth-User", "X-Old"}, "max_body": 100})
	r := do("PUT", "/a?b", "text", "Content-Type", "text/plain", "X-Auth-User", "forged", "X-Old", "stays not")
	require.Equal(t, 200, r.StatusCode, bodyOf(t, r))
	require.Empty(t, r.Header.Get("X-Got-Old"))
	require.Empty(t, r.Header.Get("X-Got-Auth-User"), "nobody was authenticated, and nobody can say so himself")
	require.Equal(t, "127.0.0.1", r.Header.Get("X-Got-Auth-Ip"))

	// What a service does that checks the signature.
	signature := strings.Fields(r.Header.Get("X-Got-Auth-Signature"))
	require.Len(t, signature, 3)
	require.Equal(t, "kong", signature[0])
	sum := sha256.Sum256([]byte("text"))
	mac := hmac.New(sha256.New, []byte("secret"))
	fmt.Fprintf(mac, "%s\n\nPUT\n/a?b\ncontent-type:text/plain\n%x", signature[1], sum)
	require.Equal(t, hex.EncodeToString(mac.Sum(nil)), signature[2])

	r = do("PUT", "/a", strings.Repeat("long", 100))
	require.Equal(t, 502, r.StatusCode)
	require.Empty(t, r.Header.Get("X-Upstream-Path"), "the service was not asked")
}
