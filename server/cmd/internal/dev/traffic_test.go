package dev_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/luabridge"
	"github.com/kongring/kongring/luabridge/host"
	"github.com/kongring/kongring/luabridge/testbed"
)

// traffic sends requests until it is stopped, and fails by the first that fails.
type traffic struct {
	*testing.T
	bed      *testbed.Bed
	stop     func()
	done     sync.WaitGroup
	requests atomic.Int64
	header   atomic.Value // of the last answer
	failed   atomic.Value
}

func flood(t *testing.T, bed *testbed.Bed) *traffic {
	ctx, cancel := context.WithCancel(context.Background())
	f := &traffic{T: t, bed: bed, stop: cancel}
	f.header.Store("")
	for range 2 {
		f.done.Go(func() {
			for ctx.Err() == nil && f.failed.Load() == nil {
				if err := f.request(); err != nil {
					f.failed.Store(err)
				}
				time.Sleep(time.Millisecond) // load enough
			}
		})
	}
	t.Cleanup(f.end)
	return f
}

// end stops the traffic. A second call does nothing.
func (f *traffic) end() { f.stop(); f.done.Wait() }

func (f *traffic) request() error {
	answer, err := f.bed.Client.Get(f.bed.Host.URL() + "/")
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d: %s", answer.StatusCode, body)
	}
	f.requests.Add(1)
	f.header.Store(answer.Header.Get("x-greet"))
	return err
}

// until waits until an answer has the header's value; no request may have failed.
func (f *traffic) until(value string) {
	f.Helper()
	require.Eventually(f, func() bool { return f.failed.Load() != nil || f.header.Load() == value }, patience, time.Millisecond, value)
	require.Nil(f, f.failed.Load())
}

// The source is edited while requests go on: they get the new answer, and none of
// them fails.
func TestDevUnderTraffic(t *testing.T) {
	if err := host.Available(); err != nil {
		t.Skip(err)
	}
	p := newPlugin(t)
	s := p.dev()
	s.serves()

	// testbed has modules written by a binary.
	binary := p.path(name + "/" + name)
	build := exec.Command("go", "build", "-o", binary, ".")
	build.Dir = p.path(name)
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	source, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	require.NoError(t, err)
	library, err := luabridge.BuildHelper("cc", p.dir)
	require.NoError(t, err)
	type object = map[string]interface{}
	bed, err := testbed.Start(t.Context(), testbed.Options{
		Build: testbed.Build{Root: string(source[:len(source)-1]), Server: binary, Library: library}, Dir: p.dir, NoServer: true,
		Config: testbed.Config{"plugins": []string{name}, "routes": []interface{}{object{
			"name": "r", "paths": []string{"/"}, "plugins": []interface{}{object{"name": name, "config": object{}}},
		}}},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, bed.Stop(context.Background())) })
	require.Equal(t, s.socket(), bed.Socket())

	f := flood(t, bed)
	f.until("hello, stranger")
	for _, turn := range []struct{ old, by string }{{`", "`, `" once, "`}, {`" once, "`, `" twice, "`}} {
		p.edit(`c.Greeting + `+turn.old, `c.Greeting + `+turn.by)
		s.serves()
		f.until("hello" + turn.by[1:len(turn.by)-1] + "stranger")
	}

	// What does not build changes nothing.
	p.edit(`c.Greeting + `, `c.Greeting + + `)
	p.edit(`func (c *Config) Log`, `func (c *Config Log`)
	s.waits(`main\.go:\d+:\d+: syntax error(.|\n)*it does not build: pid \d+ serves on\n`)
	before := f.requests.Load()
	require.Eventually(t, func() bool { return f.requests.Load() > before+20 }, patience, time.Millisecond)
	f.until("hello twice, stranger")

	p.edit(`func (c *Config Log`, `func (c *Config) Log`)
	p.edit(`c.Greeting + + `, `c.Greeting + `)
	s.waits(`the program is the same`)
	f.end()
	require.Nil(t, f.failed.Load())
	s.ends()
}
