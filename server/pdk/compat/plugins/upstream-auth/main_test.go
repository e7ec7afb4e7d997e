package main

import (
	"errors"
	"testing"
	"time"

	"github.com/Kong/go-pdk/entities"
	"github.com/Kong/go-pdk/test"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// mock plays the PDK for the signer.
type mock struct {
	consumer string
	fails    string // a method
	body     string
	set      map[string]string
	cleared  []string
	lines    int
}

func (m *mock) err(method string) error {
	if m.fails == method {
		return errors.New("broken")
	}
	return nil
}

func (m *mock) GetForwardedIp() (string, error)       { return "192.0.2.1", m.err("ip") }
func (m *mock) GetMethod() (string, error)            { return "PUT", m.err("method") }
func (m *mock) GetPathWithQuery() (string, error)     { return "/a?b", m.err("path") }
func (m *mock) GetHeader(name string) (string, error) { return "value of " + name, m.err("header") }
func (m *mock) GetRawBody() ([]byte, error)           { return []byte(m.body), m.err("body") }
func (m *mock) Err(...interface{}) error              { m.lines++; return nil }
func (m *mock) Debug(...interface{}) error            { m.lines++; return nil }

func (m *mock) GetConsumer() (entities.Consumer, error) {
	return entities.Consumer{Username: m.consumer}, m.err("consumer")
}

func (m *mock) SetHeader(name, value string) error {
	m.set[name] = value
	return m.err("set")
}

func (m *mock) SetHeaders(headers map[string][]string) error {
	for name, values := range headers {
		m.set[name] = values[0]
	}
	return m.err("sets")
}

func (m *mock) ClearHeader(name string) error {
	m.cleared = append(m.cleared, name)
	return m.err("clear")
}

func run(c *Config, m *mock) error {
	m.set = map[string]string{}
	return signer{c, m, m, m, func() time.Time { return time.Unix(1700000000, 0) }}.sign()
}

func TestSign(t *testing.T) {
	c := New().(*Config)
	c.Secret, c.SignBody, c.Strip = "s", true, []string{"cookie"}
	c.Overrides = append(c.Overrides, struct {
		Consumer string `json:"consumer"`
		Secret   string `json:"secret"`
	}{"bob", "of bob"})
	m := &mock{consumer: "ann", body: "text"}
	require.NoError(t, run(c, m))
	assert.Equal(t, []string{"cookie"}, m.cleared)
	assert.Equal(t, 1, m.lines)
	first := m.set["X-Auth-Signature"]
	assert.Regexp(t, "^kong 1700000000 [0-9a-f]{64}$", first)
	assert.Equal(t, "ann", m.set["X-Auth-User"])
	assert.Equal(t, "192.0.2.1", m.set["X-Auth-Ip"])

	for _, change := range []func(*Config, *mock){
		func(_ *Config, m *mock) { m.body = "another" },
		func(_ *Config, m *mock) { m.consumer = "carl" },
		func(_ *Config, m *mock) { m.consumer = "bob" },
		func(c *Config, _ *mock) { c.Headers = nil },
		func(c *Config, _ *mock) { c.KeyID = "k2" },
	} {
		other, m := *c, &mock{consumer: "ann", body: "text"}
		change(&other, m)
		require.NoError(t, run(&other, m))
		assert.NotEqual(t, first, m.set["X-Auth-Signature"])
	}
}

func TestWhatFails(t *testing.T) {
	for _, method := range []string{"consumer", "ip", "method", "path", "header", "body", "clear", "set", "sets"} {
		c := New().(*Config)
		c.Secret, c.SignBody, c.Strip = "s", true, []string{"cookie"}
		assert.ErrorContains(t, run(c, &mock{fails: method}), "broken", method)
	}
	assert.ErrorIs(t, run(New().(*Config), &mock{}), errNoSecret)
}

func TestInTheKit(t *testing.T) {
	t.Setenv("UPSTREAM_AUTH_SECRET", "from the environment")
	env, err := test.New(t, test.Request{
		Method: "POST", Url: "http://example.com/a?b=c", Body: []byte("text"),
		Headers: map[string][]string{"Cookie": {"a=b"}, "Content-Type": {"text/plain"}},
	})
	require.NoError(t, err)
	c := New().(*Config)
	c.SignBody, c.Strip = true, []string{"Cookie"}
	env.DoHttp(c)
	assert.Equal(t, 200, env.ClientRes.Status)
	assert.Equal(t, "Jon Doe", env.ServiceReq.Headers.Get("X-Auth-User"))
	assert.Regexp(t, `^kong \d+ [0-9a-f]{64}$`, env.ServiceReq.Headers.Get("X-Auth-Signature"))
	assert.Empty(t, env.ServiceReq.Headers.Get("Cookie"))
}

func TestRefusedInTheKit(t *testing.T) {
	env, err := test.New(t, test.Request{Method: "GET", Url: "http://example.com/"})
	require.NoError(t, err)
	env.DoHttp(New())
	assert.Equal(t, 502, env.ClientRes.Status)
}
