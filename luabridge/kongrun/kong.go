package kongrun

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/kongring/kongring/luabridge/host"
)

// ErrUnavailable says that there is no Kong on this machine.
var ErrUnavailable = errors.New("no kong on PATH")

const (
	patience = time.Minute // for one step of Kong's, where the context sets no earlier end
	look     = 5 * time.Millisecond
	attempts = 5 // to find free ports
)

// Kong is a running Kong. Its methods may be called from any goroutine, but for
// Reload and Stop, which are called one after the other.
type Kong struct {
	options              Options
	proxy, admin, secure string // addresses
	master               int
}

// Available returns nil if Start can work on this machine, or ErrUnavailable.
func Available() error {
	if _, err := exec.LookPath("kong"); err != nil {
		return ErrUnavailable
	}
	return nil
}

// Version is the version of the Kong that Start starts.
func Version(ctx context.Context) (string, error) {
	if err := Available(); err != nil {
		return "", err
	}
	out, err := exec.CommandContext(ctx, "kong", "version").Output()
	if err != nil {
		return "", fmt.Errorf("kong version: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// Start starts Kong and returns when all of its workers take requests. If Kong
// does not start, the error has what it said. The caller calls Stop.
func Start(ctx context.Context, o Options) (*Kong, error) {
	if err := Available(); err != nil {
		return nil, err
	}
	o.Workers = max(o.Workers, 1)
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for attempt := 1; ; attempt++ {
		k := &Kong{options: o}
		err := k.start(ctx)
		if err == nil {
			return k, nil
		}
		// Somebody else may have taken a port since it was found free.
		if attempt == attempts || !taken(k.proxy) && !taken(k.admin) && !taken(k.secure) {
			return nil, fmt.Errorf("start kong: %w", err)
		}
	}
}

// Check lets Kong check the declarative file without starting it: nil if Kong
// takes it, else an error with what it says. It loads all plugins.
func Check(ctx context.Context, o Options) error {
	if err := Available(); err != nil {
		return err
	}
	k := &Kong{options: o, proxy: "off", admin: "off"}
	if err := errors.Join(k.Write(o.Config), k.writeConf()); err != nil {
		return err
	}
	_, err := k.run(ctx, "config", "-c", k.path("kong.conf"), "parse", k.path("kong.json"))
	return err
}

func (k *Kong) start(ctx context.Context) (err error) {
	for _, address := range []*string{&k.proxy, &k.admin, &k.secure} {
		if *address, err = freePort(); err != nil {
			return err
		}
	}
	if err := k.Write(k.options.Config); err != nil {
		return err
	}
	if err := k.writeConf(); err != nil {
		return err
	}
	if _, err := k.run(ctx, "start", "-c", k.path("kong.conf")); err != nil {
		return err
	}
	pid, err := os.ReadFile(k.path("prefix/pids/nginx.pid"))
	if err != nil {
		return err
	}
	if k.master, err = strconv.Atoi(strings.TrimSpace(string(pid))); err != nil {
		return err
	}
	if err := k.ready(ctx, nil); err != nil {
		return errors.Join(err, k.Stop(context.WithoutCancel(ctx)))
	}
	return nil
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func taken(address string) bool {
	l, err := net.Listen("tcp", address)
	if err == nil {
		err = l.Close()
	}
	return err != nil
}

// ready waits until a full set of workers takes requests, none of them in old.
func (k *Kong) ready(ctx context.Context, old []int) error {
	return k.wait(ctx, "workers", func() (bool, error) {
		pids, err := k.Workers()
		isOld := func(pid int) bool { return slices.Contains(old, pid) }
		return len(pids) == k.options.Workers && !slices.ContainsFunc(pids, isOld), err
	})
}

// wait polls until something holds; its error has the end of Kong's log.
func (k *Kong) wait(ctx context.Context, what string, holds func() (bool, error)) error {
	for {
		ok, err := holds()
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			log, _ := k.ErrorLog()
			return fmt.Errorf("wait for %s: %w: %s", what, ctx.Err(), log[max(0, len(log)-4000):])
		case <-time.After(look):
		}
	}
}

// run runs a command of Kong's and gives what it printed.
func (k *Kong) run(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "kong", args...)
	cmd.Env = k.environment()
	cmd.Dir = k.options.Dir
	// A file, not a pipe: nginx keeps it open.
	out, err := os.Create(k.path("console.log"))
	if err != nil {
		return "", err
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	ended := cmd.Run()
	text, err := os.ReadFile(out.Name())
	if ended != nil {
		return string(text), fmt.Errorf("kong %s: %w: %s", args[0], ended, text)
	}
	return string(text), err
}

// URL is where the proxy listens, without a slash at the end.
func (k *Kong) URL() string { return "http://" + k.proxy }

// TLSURL is where it listens for TLS, given a certificate; likewise.
func (k *Kong) TLSURL() string { return "https://" + k.secure }

// AdminURL is where the Admin API listens, without a slash at the end.
func (k *Kong) AdminURL() string { return "http://" + k.admin }

// Prefix is Kong's own folder.
func (k *Kong) Prefix() string { return PrefixIn(k.options.Dir) }

// PrefixIn is the prefix of a Kong with the given Dir.
func PrefixIn(dir string) string { return filepath.Join(dir, "prefix") }

// MasterPID is the process id of nginx's master process.
func (k *Kong) MasterPID() int { return k.master }

// Workers are the process ids of the workers that take requests.
func (k *Kong) Workers() ([]int, error) { return host.WorkersOf(k.master) }

// ErrorLog is Kong's error log so far.
func (k *Kong) ErrorLog() (string, error) {
	text, err := os.ReadFile(k.path("prefix/logs/error.log"))
	return string(text), err
}

// Reload lets Kong read its files anew and returns when new workers have taken
// over.
func (k *Kong) Reload(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	old, err := k.Workers()
	if err != nil {
		return fmt.Errorf("reload kong: %w", err)
	}
	if _, err := k.run(ctx, "reload", "-c", k.path("kong.conf")); err != nil {
		return err
	}
	if err := k.ready(ctx, old); err != nil {
		return fmt.Errorf("reload kong: %w", err)
	}
	return nil
}

// Stop lets Kong finish its requests and end; what still runs after ten seconds
// Kong itself ends. A second call does nothing.
func (k *Kong) Stop(ctx context.Context) error {
	gone := func() (bool, error) { return syscall.Kill(k.master, 0) != nil, nil }
	if k.master == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if there, _ := gone(); !there {
		if _, err := k.run(ctx, "quit", "-p", k.Prefix()); err != nil {
			return err
		}
	}
	err := k.wait(ctx, "the end", gone)
	k.master = 0
	return err
}

func (k *Kong) path(name string) string { return filepath.Join(k.options.Dir, name) }
