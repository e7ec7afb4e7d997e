package main

import (
	"os"
	"strconv"
	"strings"

	"github.com/kongring/kongring/server/pdk"
)

// shake does during a handshake what a file says.
type shake struct {
	File string `json:"file"`
}

func (s *shake) Certificate(kong *pdk.PDK) {
	text, err := os.ReadFile(s.File)
	if err != nil {
		panic(err)
	}
	what, arg, _ := strings.Cut(string(text), ":")
	if f := handshakes[what]; f != nil {
		f(kong, arg)
	} else if f := actions[what]; f != nil {
		f(kong, arg)
	} else {
		panic("probe: unknown deed " + what)
	}
}

// Access answers with what is known of the client.
func (s *shake) Access(kong *pdk.PDK) {
	chain, err := kong.Client.TLS().GetFullClientCertificateChain()
	version, err2 := kong.Nginx.GetTLS1VersionStr()
	left, err3 := kong.Ctx.GetSharedAny("handshake")
	answer(kong, map[string]interface{}{
		"chain": chain, "version": version, "left": left, "errors": errText(err) + errText(err2) + errText(err3),
	})
}

var handshakes = map[string]func(kong *pdk.PDK, arg string){
	"nothing": func(*pdk.PDK, string) {},
	"exit":    func(kong *pdk.PDK, _ string) { kong.Response.Exit(403, []byte("no"), nil) },
	"path": func(kong *pdk.PDK, _ string) { // the phase has none
		_, err := kong.Request.GetPath()
		_ = kong.Log.Err("shake: path: ", errText(err))
	},
	"address": func(kong *pdk.PDK, _ string) { // nginx has none yet
		_, _ = kong.Client.GetIp()
	},
	"version": func(kong *pdk.PDK, _ string) {
		version, err := kong.Nginx.GetTLS1VersionStr()
		_ = kong.Log.Err("shake: version: ", version, " ", errText(err))
	},
	"no-reuse": func(kong *pdk.PDK, _ string) {
		if err := kong.Client.TLS().DisableSessionReuse(); err != nil {
			panic(err)
		}
	},
	"ask": func(kong *pdk.PDK, _ string) {
		if err := kong.Client.TLS().RequestClientCertificate(); err != nil {
			panic(err)
		}
	},
	"calls": func(kong *pdk.PDK, arg string) {
		n, err := strconv.Atoi(arg)
		if err != nil {
			panic(err)
		}
		for i := range n {
			_ = kong.Ctx.SetShared("handshake", i)
			if got, err := kong.Ctx.GetSharedFloat("handshake"); err != nil || got != float64(i) {
				panic(errText(err))
			}
		}
		_ = kong.Log.Err("shake: made ", n, " calls")
	},
}
