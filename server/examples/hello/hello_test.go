package hello_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/server/examples/hello"
	"github.com/kongring/kongring/server/pdk/test"
)

func TestHello(t *testing.T) {
	for name, want := range map[string]string{"": "hi, stranger, at /a", "ann": "hi, ann, at /a"} {
		env, err := test.New(t, test.Request{
			Method: "GET", Url: "http://example.com/a?b", Headers: map[string][]string{"X-Name": {name}},
		})
		require.NoError(t, err)
		env.DoHttp(&hello.Config{Message: "hi"})
		require.Equal(t, want, env.ClientRes.Headers.Get("x-hello-from-go"))
	}
}
