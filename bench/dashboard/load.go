package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"sync"
	"time"

	"github.com/kongring/kongring/luabridge/testbed"
)

type object = map[string]interface{}

// traffic is a configuration with a quick plugin, one that waits, and one that is
// waited for no longer than half of its time.
var traffic = testbed.Config{
	"plugins": []string{"calls", "slow"},
	"routes": []interface{}{
		route("quick", "calls", object{"n": 10, "kind": "mix"}),
		route("slow", "slow", object{"milliseconds": 5}),
		route("late", "slow", object{"milliseconds": 300, "kongring": object{"timeout": 0.1}}),
	},
}

func route(name, plugin string, config object) object {
	return object{
		"name": name, "paths": []string{"/" + name},
		"respond": object{"status": 200, "body": "ok", "content_type": "text/plain"},
		"plugins": []interface{}{object{"name": plugin, "config": config}},
	}
}

// load sends requests for a time, one after the other on each of some connections.
// They swell and ebb.
func load(whole context.Context, bed *testbed.Bed, length time.Duration) error {
	ctx, cancel := context.WithTimeout(whole, length)
	defer cancel()
	begin := time.Now()
	errs := make(chan error, 1)
	var all sync.WaitGroup
	for _, c := range []struct {
		path  string
		wants int
		pause time.Duration // between two requests, where the tide is low
	}{
		{"/quick?q=1", 200, 4 * time.Millisecond}, {"/quick?q=1", 200, 4 * time.Millisecond}, {"/quick?q=1", 200, 8 * time.Millisecond},
		{"/slow", 200, 15 * time.Millisecond}, {"/slow", 200, 15 * time.Millisecond}, {"/late", 504, time.Second},
	} {
		all.Go(func() {
			for ctx.Err() == nil {
				if err := ask(ctx, bed, c.path, c.wants); err != nil && ctx.Err() == nil {
					select {
					case errs <- err:
					default:
					}
					cancel()
				}
				tide := 1 - 0.8*math.Pow(math.Sin(math.Pi*float64(time.Since(begin))/float64(length)), 2)
				select {
				case <-time.After(time.Duration(tide * float64(c.pause))):
				case <-ctx.Done():
				}
			}
		})
	}
	all.Wait()
	select {
	case err := <-errs:
		return err
	default:
		return whole.Err()
	}
}

func ask(ctx context.Context, bed *testbed.Bed, path string, wants int) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, bed.Host.URL()+path, nil)
	if err != nil {
		return err
	}
	answer, err := bed.Client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != wants {
		err = fmt.Errorf("%s: status %d, want %d: %s", path, answer.StatusCode, wants, text)
	}
	return err
}
