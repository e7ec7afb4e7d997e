package main

import (
	"encoding/base64"
	"encoding/json"
	"testing"
	"time"

	"github.com/Kong/go-pdk/test"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func config() *Config {
	c := New().(*Config)
	c.Issuer = "https://id.example.com"
	c.Keys = map[string]string{"k1": "secret"}
	c.Scopes = []string{"read"}
	c.Login = &Login{URL: "https://id.example.com/login", BackArg: "back"}
	c.Pass.Fixed = map[string]string{"X-Realm": "example"}
	c.Pass.HideToken = true
	c.AnonymousPaths = []string{"/health"}
	return c
}

func makeToken(kid, key string, claims Claims) string {
	part := func(v interface{}) string {
		text, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		return base64.RawURLEncoding.EncodeToString(text)
	}
	text := part(header{"HS256", kid}) + "." + part(claims)
	return text + "." + base64.RawURLEncoding.EncodeToString(sign(key, text))
}

func good() Claims {
	return Claims{"https://id.example.com", "Jon Doe", time.Now().Add(time.Hour).Unix(), []string{"read", "write"}}
}

func pass(t *testing.T, url string, headers map[string][]string) *test.TestEnv {
	t.Helper()
	env, err := test.New(t, test.Request{Method: "GET", Url: url, Headers: headers})
	require.NoError(t, err)
	env.DoAccess(config())
	return env
}

func TestBearer(t *testing.T) {
	env := pass(t, "http://example.com/a", map[string][]string{"Authorization": {"Bearer " + makeToken("k1", "secret", good())}})
	assert.Equal(t, 0, env.ClientRes.Status)
	assert.Equal(t, "Jon Doe", env.ServiceReq.Headers.Get("X-Session-User"))
	assert.Equal(t, "example", env.ServiceReq.Headers.Get("X-Realm"))
	assert.Empty(t, env.ServiceReq.Headers.Get("Authorization"))
	session, ok := env.Ctx.Store["session"].(map[string]interface{})
	require.True(t, ok)
	assert.Equal(t, "Jon Doe", session["user"])
	assert.Equal(t, []interface{}{"read", "write"}, session["scopes"])
	assert.InDelta(t, float64(good().Expires), session["expires"], 5)
}

func TestCookie(t *testing.T) {
	t.Setenv("SESSION_KEY", "from the environment")
	cookie := "a=b; session=" + makeToken("env", "from the environment", good())
	env := pass(t, "http://example.com/a", map[string][]string{"Cookie": {cookie}})
	assert.Equal(t, "Jon Doe", env.ServiceReq.Headers.Get("X-Session-User"))
}

func TestAnonymousPath(t *testing.T) {
	env := pass(t, "http://example.com/health", nil)
	assert.Equal(t, 0, env.ClientRes.Status)
	assert.Empty(t, env.ServiceReq.Headers.Get("X-Session-User"))
}

func TestBrowserIsSentToTheLogin(t *testing.T) {
	env := pass(t, "http://example.com/a?b=c", map[string][]string{"Accept": {"text/html"}})
	assert.Equal(t, 302, env.ClientRes.Status)
	assert.Equal(t, "https://id.example.com/login?back=%2Fa%3Fb%3Dc", env.ClientRes.Headers.Get("Location"))
}

func TestRefused(t *testing.T) {
	expired, foreign, poor := good(), good(), good()
	expired.Expires = time.Now().Add(-time.Hour).Unix()
	foreign.Issuer = "https://elsewhere.example.com"
	poor.Scopes = nil
	for name, token := range map[string]string{
		"no session":                             "",
		"a token of 1 parts":                     "x",
		"the signature is wrong":                 makeToken("k1", "other", good()),
		`algorithm "HS256", key "unknown"`:       makeToken("unknown", "secret", good()),
		"the session has expired":                makeToken("k1", "secret", expired),
		`issuer "https://elsewhere.example.com"`: makeToken("k1", "secret", foreign),
		`scope "read" is missing`:                makeToken("k1", "secret", poor),
	} {
		env := pass(t, "http://example.com/a", map[string][]string{"Authorization": {"Bearer " + token}})
		assert.Equal(t, 401, env.ClientRes.Status, name)
		var body map[string]string
		require.NoError(t, json.Unmarshal(env.ClientRes.Body, &body))
		assert.Equal(t, name, body["message"])
		assert.Contains(t, env.ClientRes.Headers.Get("WWW-Authenticate"), "Bearer")
	}
}
