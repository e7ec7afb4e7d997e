// Command konghost runs plugins without Kong: nginx with the parts of kong.*
// that package host has, and a declarative file as that package describes.
// It runs until SIGINT or SIGTERM.
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
)

func main() {
	var o host.Options
	flag.StringVar(&o.Config, "config", "kong.json", "the declarative `FILE`")
	flag.StringVar(&o.Prefix, "prefix", "", "`DIR` for what nginx writes, error.log among it; a temporary one unless set")
	flag.StringVar(&o.Listen, "listen", "127.0.0.1:8000", "`ADDRESS` to listen at")
	flag.IntVar(&o.Workers, "workers", 1, "how many workers")
	flag.StringVar(&o.LogLevel, "log-level", "notice", "nginx's `LEVEL`: debug, info, notice, warn, error")
	flag.Func("lua", "`DIR` with Lua modules; may be repeated", func(dir string) error {
		o.LuaPath = append(o.LuaPath, dir)
		return nil
	})
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "konghost: unexpected argument %q; -help lists the flags\n", flag.Arg(0))
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "konghost:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends, or nginx does.
func run(ctx context.Context, o host.Options) (err error) {
	if o.Prefix == "" {
		if o.Prefix, err = os.MkdirTemp("", "konghost"); err != nil {
			return err
		}
		defer os.RemoveAll(o.Prefix)
	}
	h, err := host.Start(ctx, o)
	if err != nil {
		return err
	}
	fmt.Printf("listening at %s, errors in %s/error.log\n", h.URL(), o.Prefix)
	select {
	case <-ctx.Done():
	case <-h.Done():
		return host.ErrExited
	}
	// Not ctx, which is over.
	end, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return h.Stop(end)
}
