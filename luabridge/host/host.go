package host

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"
)

const (
	// startTimeout bounds Start and Reload, stopTimeout Stop, where the
	// context sets no earlier deadline.
	startTimeout = 20 * time.Second
	stopTimeout  = 10 * time.Second

	// pollInterval is how often a condition outside this process is looked at.
	pollInterval = 2 * time.Millisecond

	// portAttempts bounds how often another free port is tried.
	portAttempts = 5
)

// ErrUnavailable says that this machine has no nginx, or lacks a Lua module for it.
var ErrUnavailable = errors.New("nginx with its Lua modules is not installed")

// ErrExited says that nginx has ended although nobody called Stop.
var ErrExited = errors.New("nginx has exited")

// Options say what to run and where.
type Options struct {
	// Prefix is the directory for everything nginx reads and writes; it is
	// made if missing. Two hosts must not share one.
	Prefix string

	// Config is the path of the declarative file.
	Config string

	// LuaPath lists more directories with Lua modules; for each, dir/?.lua and
	// dir/?/init.lua are searched, after the host's own.
	LuaPath []string

	// Workers is the number of worker processes, 1 by default.
	Workers int

	// Bound binds each worker to a processor of its own, as nginx's
	// worker_cpu_affinity auto does.
	Bound bool

	// User is that of the workers, and their group, as nginx's directive user has
	// them. Only a master of root's can change it; then it is root by default.
	User string

	// LogLevel is nginx's: debug, info, notice (the default), warn, error,
	// crit, alert or emerg.
	LogLevel string

	// Listen is the address of the proxy port. The default, 127.0.0.1:0,
	// takes a free port.
	Listen string

	// Certificate and Key are the paths of PEM files, a chain and its key. With
	// them the proxy listens with TLS as well, at TLSListen, whose default is
	// that of Listen, and global plugins run in the phase certificate.
	Certificate string
	Key         string
	TLSListen   string

	// Env is added to the environment of nginx and, as nginx would otherwise
	// remove it, of its workers.
	Env map[string]string

	// CheckClientAbort turns on lua_check_client_abort: a request whose client
	// goes away is ended.
	CheckClientAbort bool

	// ExtraInitWorker is Lua code that each worker runs after the plugins'
	// init_worker. ExtraServer is nginx configuration at the end of the
	// server block, ExtraHTTP at the end of the http block.
	ExtraInitWorker string
	ExtraServer     string
	ExtraHTTP       string

	// Stream is nginx configuration for the stream block, which needs nginx's
	// stream Lua module. The host does nothing there by itself: its plugins and
	// its part of kong.* are for http.
	Stream string

	// Nginx is the path of the executable; by default it is looked for.
	Nginx string
}

// Host is a running nginx. Its methods may be called from any goroutine.
type Host struct {
	options    Options
	build      build
	address    string
	tlsAddress string // "" without TLS
	process    *process

	reloading sync.Mutex // held during Reload
	stopping  sync.Once
	stopErr   error
}

// Available returns nil if Start can work on this machine, or an error that
// wraps ErrUnavailable.
func Available() error {
	_, err := findBuild("", false)
	return err
}

// Start writes the configuration below o.Prefix, starts nginx and returns when
// all workers have run init_worker and the port accepts connections. If nginx
// does not start, the error has the last lines of its log. The caller must
// call Stop.
func Start(ctx context.Context, o Options) (*Host, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	build, err := findBuild(o.Nginx, o.Stream != "")
	if err != nil {
		return nil, err
	}
	if err := writeLua(o.Prefix); err != nil {
		return nil, fmt.Errorf("write Lua modules: %w", err)
	}

	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()

	for attempt := 1; ; attempt++ {
		address, free, err := pickAddress(o.Listen)
		if err != nil {
			return nil, err
		}
		tlsAddress, tlsFree := "", true
		if o.TLSListen != "" {
			if tlsAddress, tlsFree, err = pickAddress(o.TLSListen); err != nil {
				return nil, err
			}
		}
		h := &Host{options: o, build: build, address: address, tlsAddress: tlsAddress}
		err = h.start(ctx)
		if err == nil {
			return h, nil
		}
		// Somebody else may have taken a port since pickAddress let it go.
		if !errors.Is(err, syscall.EADDRINUSE) || !free && !tlsFree || attempt == portAttempts {
			return nil, err
		}
	}
}

func (o Options) withDefaults() (Options, error) {
	if o.Prefix == "" {
		return o, errors.New("start host: no prefix directory given")
	}
	if o.Config == "" {
		return o, errors.New("start host: no configuration file given")
	}
	if o.Workers < 0 {
		return o, fmt.Errorf("start host: %d workers", o.Workers)
	}
	if o.Workers == 0 {
		o.Workers = 1
	}
	if o.LogLevel == "" {
		o.LogLevel = "notice"
	}
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}

	if (o.Certificate == "") != (o.Key == "") {
		return o, errors.New("start host: a certificate without its key, or the reverse")
	}
	if o.TLSListen != "" && o.Certificate == "" {
		return o, errors.New("start host: an address for TLS without a certificate")
	}
	if o.TLSListen == "" && o.Certificate != "" {
		o.TLSListen = "127.0.0.1:0"
	}

	// nginx and its workers have another working directory.
	paths := append([]string{o.Prefix, o.Config, o.Certificate, o.Key}, o.LuaPath...)
	for i, path := range paths {
		if path == "" {
			continue // no TLS
		}
		absolute, err := filepath.Abs(path)
		if err != nil {
			return o, fmt.Errorf("start host: %w", err)
		}
		paths[i] = absolute
	}
	o.Prefix, o.Config, o.Certificate, o.Key, o.LuaPath = paths[0], paths[1], paths[2], paths[3], paths[4:]

	if err := os.MkdirAll(o.Prefix, 0o755); err != nil {
		return o, fmt.Errorf("start host: %w", err)
	}
	return o, nil
}

func (h *Host) start(ctx context.Context) error {
	if err := h.writeConfig(); err != nil {
		return err
	}
	logFrom := fileSize(h.path("error.log"))
	process, err := startProcess(h.build.nginx, h.options)
	if err != nil {
		return fmt.Errorf("start nginx: %w", err)
	}
	h.process = process

	err = h.wait(ctx, logFrom, nil, func() bool {
		conn, err := net.DialTimeout("tcp", h.address, time.Second)
		if err != nil {
			return false
		}
		conn.Close()
		return true
	})
	if err != nil {
		process.kill()
		return fmt.Errorf("start nginx: %w", err)
	}
	return nil
}

// wait polls until a full set of workers takes requests, none of them in old,
// and ready says so too. It fails as soon as nginx ends, or logs past logFrom
// what keeps it from starting.
func (h *Host) wait(ctx context.Context, logFrom int64, old map[int]bool, ready func() bool) error {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()

	for {
		// When nginx does not start at all, its end is what counts: then the
		// log is complete.
		err := h.startFailure(logFrom)
		if err != nil && (old != nil || errors.Is(err, syscall.EADDRINUSE)) {
			return fmt.Errorf("%w: %w", err, h.logError(logFrom))
		}
		pids, err := h.Workers()
		if err != nil {
			return err
		}
		isOld := func(pid int) bool { return old[pid] }
		if len(pids) == h.options.Workers && !slices.ContainsFunc(pids, isOld) && ready() {
			return nil
		}

		select {
		case <-h.process.done:
			return fmt.Errorf("%w: %w", ErrExited, h.logError(logFrom))
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ctx.Err(), h.logError(logFrom))
		case <-ticker.C:
		}
	}
}

// URL returns where the proxy listens, without a slash at the end.
func (h *Host) URL() string { return "http://" + h.address }

// TLSURL returns where the proxy listens with TLS, without a slash at the end;
// "" without a certificate.
func (h *Host) TLSURL() string {
	if h.tlsAddress == "" {
		return ""
	}
	return "https://" + h.tlsAddress
}

// Addr returns the host and port of the proxy.
func (h *Host) Addr() string { return h.address }

// MasterPID returns the process id of nginx's master process.
func (h *Host) MasterPID() int { return h.process.pid }

// Done returns a channel that is closed when nginx has ended.
func (h *Host) Done() <-chan struct{} { return h.process.done }

// Workers returns the process ids of the workers that take requests: they have
// run init_worker and have not been told to leave.
func (h *Host) Workers() ([]int, error) {
	return WorkersOf(h.process.pid)
}

// Reload lets nginx read the configuration file anew and returns when new
// workers have taken over. The old ones finish their requests and leave by
// themselves. If the file is wrong, the old workers go on and the error says
// what is wrong.
func (h *Host) Reload(ctx context.Context) error {
	h.reloading.Lock()
	defer h.reloading.Unlock()

	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()

	if err := h.writeConfig(); err != nil {
		return fmt.Errorf("reload nginx: %w", err)
	}
	pids, err := h.Workers()
	if err != nil {
		return fmt.Errorf("reload nginx: %w", err)
	}
	old := make(map[int]bool)
	for _, pid := range pids {
		old[pid] = true
	}

	logFrom := fileSize(h.path("error.log"))
	if err := h.process.reload(); err != nil {
		return fmt.Errorf("reload nginx: %w", err)
	}
	if err := h.wait(ctx, logFrom, old, func() bool { return true }); err != nil {
		return fmt.Errorf("reload nginx: %w", err)
	}
	return nil
}

// ErrorLog returns nginx's error log so far.
func (h *Host) ErrorLog() (string, error) {
	text, err := os.ReadFile(h.path("error.log"))
	return string(text), err
}

// Stop lets nginx finish its requests and end. What still runs at the deadline
// of ctx, or after ten seconds, is killed, and the error says so. Once Stop
// has returned, no process is left; further calls return the same.
func (h *Host) Stop(ctx context.Context) error {
	h.stopping.Do(func() {
		ctx, cancel := context.WithTimeout(ctx, stopTimeout)
		defer cancel()
		if err := h.process.stop(ctx); err != nil {
			h.stopErr = fmt.Errorf("stop nginx: %w", err)
		}
	})
	return h.stopErr
}

func (h *Host) path(name string) string { return filepath.Join(h.options.Prefix, name) }
