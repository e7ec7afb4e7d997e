// Command demo shows kongring at work on this machine: it starts an upstream, a
// plugin server and nginx with two workers, sends real requests through the Go
// plugins hello and gate, kills the plugin server and a worker, and says what
// came of it. It needs nginx with the Lua module; see make setup.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/kongring/kongring/luabridge/host"
	"github.com/kongring/kongring/luabridge/testbed"
)

func main() {
	keep := flag.Bool("keep", false, "leave everything running until Ctrl-C")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, *keep)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
	fmt.Println("demo: ok")
}

func run(ctx context.Context, keep bool) (err error) {
	dir, err := os.MkdirTemp("", "kongring-demo-")
	if err != nil {
		return err
	}
	defer func() {
		if e := os.RemoveAll(dir); err == nil {
			err = e
		}
	}()
	say("building the example plugins and the C helper")
	build, err := testbed.Compile(ctx, dir, testbed.Examples)
	if err != nil {
		return err
	}
	bed, err := testbed.Start(ctx, testbed.Options{
		Build: build, Dir: dir, Config: config,
		Host: host.Options{Workers: workers, LogLevel: "info"},
	})
	if err != nil {
		return err
	}
	defer func() {
		// Not ctx: what was started is ended also after Ctrl-C.
		end, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if e := leaveNothing(end, bed); err == nil {
			err = e
		}
	}()
	say("running: upstream %s, plugin server pid %d, nginx %s with %d workers",
		bed.Upstream.URL, bed.Server.PID(), bed.Host.URL(), workers)

	steps := []func(context.Context, *testbed.Bed) error{
		sayHello, openGate, sendBody, sendMany, printTable, killServer, killWorker,
	}
	for _, step := range steps {
		if err := step(ctx, bed); err != nil {
			log, _ := bed.Host.ErrorLog()
			return fmt.Errorf("%w\nplugin server's log:\n%snginx's error log:\n%s", err, bed.Server.Log(), log)
		}
	}
	if keep {
		say("left running; end it with Ctrl-C. Try:")
		fmt.Printf("  curl -i -H 'x-name: you' %s/hello\n", bed.Host.URL())
		fmt.Printf("  curl -i %s/gate\n", bed.Host.URL())
		fmt.Printf("  curl -i -H 'x-api-key: %s' %s/gate\n", key, bed.Host.URL())
		<-ctx.Done()
	}
	return nil
}

const (
	workers = 2
	key     = "open-sesame"
)

var config = testbed.Config{
	"plugins":  []string{"hello", "gate", "calls"},
	"services": []interface{}{map[string]interface{}{"name": "upstream", "url": "UPSTREAM"}},
	"routes": []interface{}{
		map[string]interface{}{
			"name": "hello", "paths": []string{"/hello"}, "service": "upstream",
			"plugins": []interface{}{map[string]interface{}{
				"name": "hello", "config": map[string]interface{}{"message": "hello from Go"},
			}},
		},
		map[string]interface{}{
			"name": "gate", "paths": []string{"/gate"}, "service": "upstream",
			"plugins": []interface{}{map[string]interface{}{
				"name": "gate", "config": map[string]interface{}{
					"header": "x-api-key", "keys": map[string]string{key: "alice"},
				},
			}},
		},
	},
}

func say(format string, args ...interface{}) { fmt.Printf("* "+format+"\n", args...) }

// leaveNothing ends all processes and looks that they are gone.
func leaveNothing(ctx context.Context, bed *testbed.Bed) error {
	pids := []int{bed.Server.PID(), bed.Host.MasterPID()}
	if more, err := bed.Host.Workers(); err == nil {
		pids = append(pids, more...)
	}
	if err := bed.Stop(ctx); err != nil {
		return err
	}
	for _, pid := range pids {
		if syscall.Kill(pid, 0) == nil {
			return fmt.Errorf("process %d is left behind", pid)
		}
	}
	return nil
}
