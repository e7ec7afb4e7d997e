package server

import (
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/kongring/kongring/server/pdk/test"
)

// try runs the handler of a phase once and tells what went wrong.
func (p *plugin) try(phase string, patience time.Duration) []string {
	var found findings
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := safely(func() error { return p.runOnce(phase, found.add) }); err != nil {
			found.add(err.Error())
		}
	}()
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-ended:
	case <-late.C:
		found.add(fmt.Sprintf("still runs after %v", patience))
	}
	return found.list()
}

func (p *plugin) runOnce(phase string, report func(string)) error {
	config, err := p.defaultConfig()
	if err != nil {
		return fmt.Errorf("the default config does not fit the struct: %w", err)
	}
	env, err := test.Try(test.Request{Method: http.MethodGet, Url: "https://example.com/"}, report)
	if err != nil {
		return err
	}
	env.ServiceRes = env.ServiceReq.ToResponse()
	map[string]func(interface{}){
		"certificate": env.DoCertificate, "rewrite": env.DoRewrite, "access": env.DoAccess,
		"response": env.DoResponse, "preread": env.DoPreread, "log": env.DoLog,
	}[phase](config)
	return nil
}

// findings are texts that several goroutines may add.
type findings struct {
	mu    sync.Mutex
	texts []string
}

func (f *findings) add(text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.texts = append(f.texts, text)
}

func (f *findings) list() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.texts...)
}
