package gate_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/server/examples/gate"
	"github.com/kongring/kongring/server/pdk/test"
)

func pass(t *testing.T, key string) *test.TestEnv {
	t.Helper()
	env, err := test.New(t, test.Request{
		Method: "GET", Url: "http://example.com/", Headers: map[string][]string{"x-api-key": {key}},
	})
	require.NoError(t, err)
	config := gate.New().(*gate.Config)
	config.Keys = map[string]string{"right": "ann"}
	env.DoHttp(config)
	return env
}

func TestKnownKeyPasses(t *testing.T) {
	env := pass(t, "right")
	require.Equal(t, 200, env.ClientRes.Status)
	require.Equal(t, "ann", env.ServiceReq.Headers.Get("x-consumer"))
	require.Empty(t, env.ServiceReq.Headers.Values("x-api-key"), "the service never sees the key")
}

func TestOtherKeysDoNot(t *testing.T) {
	for _, key := range []string{"", "wrong", "righ", "rightt"} {
		env := pass(t, key)
		require.Equal(t, 401, env.ClientRes.Status, key)
		require.JSONEq(t, `{"message":"no or unknown key in header x-api-key"}`, string(env.ClientRes.Body))
		require.Zero(t, env.ServiceRes.Status, "the service was not asked")
	}
}
