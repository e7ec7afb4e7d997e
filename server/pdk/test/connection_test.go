package test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/server/pdk"
	"github.com/kongring/kongring/server/pdk/bridge"
)

// During a handshake there is a TLS version whatever the request will be, and no
// nginx variable that says who the client is.
func TestHandshake(t *testing.T) {
	e, f := newEnv(t, Request{Method: "GET", Url: "http://example.com"})
	e.in("certificate", func(kong *pdk.PDK) {
		version, err := kong.Nginx.GetTLS1VersionStr()
		want(t, "TLSv1.3", version, err)
		_, err = kong.Client.GetIp()
		require.ErrorContains(t, err, "kong.client.get_ip: cannot be called in the phase certificate")
	})
	require.Len(t, f.texts, 1)
	f.texts = nil
	e, _ = newEnv(t, Request{Method: "GET", Url: "http://example.com"})
	e.in("access", func(kong *pdk.PDK) {
		version, err := kong.Nginx.GetTLS1VersionStr()
		want(t, "", version, err)
	})
}

func TestExitInPreread(t *testing.T) {
	for status, allowed := range map[int]bool{200: true, 403: true, 503: true, 418: false, 504: false} {
		e, f := newEnv(t, get)
		logged := false
		e.DoStream(plugin{
			"preread": func(kong *pdk.PDK) {
				kong.Response.ExitStatus(status)
				_, err := kong.Client.GetIp()
				require.ErrorIs(t, err, bridge.ErrOver)
			},
			"log": func(*pdk.PDK) { logged = true },
		})
		require.True(t, logged)
		require.False(t, e.IsRunning())
		if allowed {
			require.Equal(t, status, e.ClientRes.Status)
			continue
		}
		require.Equal(t, 500, e.ClientRes.Status, status)
		require.Len(t, f.texts, 1)
		require.Contains(t, f.texts[0], "kong.response.exit: a connection cannot end with")
		f.texts = nil
	}
}
