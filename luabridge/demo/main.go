// Command demo shows kongring at work on this machine: it starts an upstream, a
// plugin server and nginx with two workers, sends real requests through the Go
// plugins hello and gate, kills the plugin server and a worker, and says what
// came of it. It needs nginx with the Lua module; see make setup. With
// -host=kong it runs a Kong in nginx's place, where there is one on PATH.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/kongring/kongring/luabridge/kongrun"
	"github.com/kongring/kongring/luabridge/testbed"
)

func main() {
	keep := flag.Bool("keep", false, "leave everything running until Ctrl-C")
	on := flag.String("host", "nginx", "what runs the plugins: nginx or kong")
	flag.Parse()
	if *on != "nginx" && *on != "kong" {
		fmt.Fprintf(os.Stderr, "demo: -host=%s: want nginx or kong\n", *on)
		os.Exit(2)
	}
	if err := kongrun.Available(); *on == "kong" && err != nil {
		fmt.Println("skipped:", err)
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, *on, *keep)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
	fmt.Println("demo: ok")
}

func run(ctx context.Context, on string, keep bool) (err error) {
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
	s, err := setStage(ctx, on == "kong", build, dir)
	if err != nil {
		return err
	}
	defer func() {
		// Not ctx: what was started is ended also after Ctrl-C.
		end, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if e := s.leaveNothing(end); err == nil {
			err = e
		}
	}()
	say("running: upstream %s, plugin server pid %d, %s %s with %d workers",
		s.Upstream.URL, s.Server.PID(), on, s.gateway.URL(), workers)

	steps := []func(context.Context, stage) error{
		sayHello, openGate, sendBody, sendMany, printTable, killServer, killWorker,
	}
	for _, step := range steps {
		if err := step(ctx, s); err != nil {
			log, _ := s.gateway.ErrorLog()
			return fmt.Errorf("%w\nplugin server's log:\n%s%s's error log:\n%s", err, s.Server.Log(), on, log)
		}
	}
	if keep {
		say("left running; end it with Ctrl-C. Try:")
		fmt.Printf("  curl -i -H 'x-name: you' %s/hello\n", s.gateway.URL())
		fmt.Printf("  curl -i %s/gate\n", s.gateway.URL())
		fmt.Printf("  curl -i -H 'x-api-key: %s' %s/gate\n", key, s.gateway.URL())
		<-ctx.Done()
	}
	return nil
}

func say(format string, args ...interface{}) { fmt.Printf("* "+format+"\n", args...) }
