// Command dashboard draws the first row of the Grafana dashboard (server/metrics)
// from a run of its own: a plugin server with traffic through nginx, and the
// prometheus that is on PATH, which scrapes it. The expressions are those of the
// dashboard, asked over Prometheus' HTTP API.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/kongring/kongring/luabridge/testbed"
)

func main() {
	length := flag.Duration("length", 3*time.Minute, "how long there is traffic")
	out := flag.String("out", "dashboard.png", "the picture, a PNG `FILE`")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, *length, *out)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "dashboard:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, length time.Duration, out string) (err error) {
	dir, err := os.MkdirTemp("", "kd")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	build, err := testbed.Compile(ctx, dir, "./bench/callserver")
	if err != nil {
		return err
	}
	panels, err := readPanels(filepath.Join(build.Root, "server", "metrics", "grafana.json"))
	if err != nil {
		return err
	}
	scraped, asked, err := addresses()
	if err != nil {
		return err
	}
	bed, err := testbed.Start(ctx, testbed.Options{
		Build: build, Dir: dir, Args: []string{"-metrics", scraped}, Config: traffic,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bed.Stop(context.WithoutCancel(ctx))) }()
	p, err := startPrometheus(ctx, filepath.Join(dir, "prometheus"), asked, scraped)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	begin := time.Now()
	if err := load(ctx, bed, length); err != nil {
		return err
	}
	for i := range panels {
		if err := p.fill(ctx, &panels[i], begin.Add(rateWindow), time.Now()); err != nil {
			return err
		}
	}
	return savePicture(panels, out)
}

// addresses gives two that nobody listens on.
func addresses() (one, two string, err error) {
	a, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", "", err
	}
	b, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", "", errors.Join(err, a.Close())
	}
	return a.Addr().String(), b.Addr().String(), errors.Join(a.Close(), b.Close())
}
