package server

import (
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/kongring/kongring/ring"
	"github.com/kongring/kongring/server/wire"
)

// Option sets something about a [Server].
type Option func(*options) error

type options struct {
	plugins      []*plugin
	socket       string
	mode         fs.FileMode
	gid          int // of the socket; -1 is the system's choice
	uids         map[uint32]bool
	ringCapacity int
	maxMessage   int
	maxInstances int // that one worker can have open
	maxPending   int
	grace        time.Duration
	logger       *slog.Logger
	tracer       Tracer
	syncWrites   bool
	noMemo       bool
	noPrefetch   bool
	affinity     bool
	bounds       prefetchBounds
	carrier      Carrier
	systemd      bool
	metricsPprof bool

	metricsNetwork, metricsAddress string        // no metrics where empty
	alone                          time.Duration // how long a server without parent and workers stays
}

func defaults() options {
	return options{
		mode:         0o660,
		gid:          -1,
		uids:         map[uint32]bool{},
		ringCapacity: 512 << 10,
		maxMessage:   64 << 20,
		maxInstances: 1 << 16,
		maxPending:   256,
		grace:        10 * time.Second,
		alone:        10 * time.Second,
		logger:       slog.Default(),
		bounds:       prefetchBounds{getters: wire.MaxPrefetch, bytes: 16 << 10},
	}
}

// WithPlugin adds a plugin. constructor gives a pointer to a new config struct,
// as in [StartServer].
func WithPlugin(name string, constructor func() interface{}, version string, priority int, opts ...PluginOption) Option {
	return func(o *options) error {
		p, err := newPlugin(name, constructor, version, priority)
		if err != nil {
			return err
		}
		for _, set := range opts {
			if err := set(p); err != nil {
				return fmt.Errorf("plugin %s: %w", name, err)
			}
		}
		o.plugins = append(o.plugins, p)
		return nil
	}
}

// WithSocket sets the path of the control socket, of up to 107 bytes.
func WithSocket(path string) Option {
	return func(o *options) error { o.socket = path; return nil }
}

// WithSocketMode sets the file mode of the control socket; 0660 unless set.
func WithSocketMode(mode fs.FileMode) Option {
	return func(o *options) error { o.mode = mode; return nil }
}

// WithRingCapacity sets the bytes of each of a session's two rings, a power of
// two from 1 KiB to 256 MiB; 512 KiB unless set.
func WithRingCapacity(bytes int) Option {
	return func(o *options) error {
		if bytes < ring.MinCapacity || bytes > ring.MaxCapacity || bytes&(bytes-1) != 0 {
			return fmt.Errorf("ring capacity %d: want a power of two from %d to %d", bytes, ring.MinCapacity, ring.MaxCapacity)
		}
		o.ringCapacity = bytes
		return nil
	}
}

// WithCarrier sets what moves the frames. [CarrierSocket] refuses shared memory
// to every worker, which then attaches by the socket. Otherwise a worker has
// what it asks for: shared memory first, unless its operator chose the socket.
func WithCarrier(c Carrier) Option {
	return func(o *options) error {
		if c != CarrierAuto && c != CarrierSocket {
			return fmt.Errorf("carrier %d: want CarrierAuto or CarrierSocket", c)
		}
		o.carrier = c
		return nil
	}
}

// WithMaxMessage sets the longest message in bytes, either way: a body with its
// call. A longer one fails that call. 64 MiB unless set.
func WithMaxMessage(bytes int) Option {
	return func(o *options) error {
		if bytes < 1<<10 || bytes > wire.MaxMessage {
			return fmt.Errorf("message limit %d: want 1 KiB to 1 GiB", bytes)
		}
		o.maxMessage = bytes
		return nil
	}
}

// WithMaxPending sets how many connections may be there at once that have not said
// hello; further ones are refused. Each has two seconds for its first byte, and two
// for the rest. 256 unless set.
func WithMaxPending(connections int) Option {
	return func(o *options) error {
		if connections < 1 || connections > 1<<16 {
			return fmt.Errorf("%d connections without a hello: want 1 to %d", connections, 1<<16)
		}
		o.maxPending = connections
		return nil
	}
}

// WithGrace sets how long a stopping server waits for its workers, which take
// their events elsewhere and leave when they have their answers; 10 seconds unless
// set.
func WithGrace(d time.Duration) Option {
	return func(o *options) error { o.grace = d; return nil }
}

// WithLogger sets where the server's own lines go; [slog.Default] unless set.
func WithLogger(l *slog.Logger) Option {
	return func(o *options) error { o.logger = l; return nil }
}

// SyncWrites makes each write a round trip of its own, so that a handler hears
// of one that Kong refuses from that very call. Without it, writes travel with
// the next message, and a refused one ends the event.
func SyncWrites() Option {
	return func(o *options) error { o.syncWrites = true; return nil }
}

// WithoutMemo makes a getter ask again each time.
func WithoutMemo() Option {
	return func(o *options) error { o.noMemo = true; return nil }
}

// WithPrefetchBounds bounds what workers send along with an event: the number of
// getters, up to 32, those that [Prefetch] declares first among them, and the
// bytes of their values together, up to 1 MiB. A value beyond is asked for. 32
// and 16 KiB unless set.
func WithPrefetchBounds(getters, bytes int) Option {
	return func(o *options) error {
		if getters < 1 || getters > wire.MaxPrefetch || bytes < 1 || bytes > wire.MaxPrefetchBytes {
			return fmt.Errorf("prefetch bounds of %d getters and %d bytes: want 1 to %d and 1 to %d", getters, bytes,
				wire.MaxPrefetch, wire.MaxPrefetchBytes)
		}
		o.bounds = prefetchBounds{getters, bytes}
		return nil
	}
}

// WithoutPrefetch keeps workers from sending values along with events.
func WithoutPrefetch() Option {
	return func(o *options) error { o.noPrefetch = true; return nil }
}
