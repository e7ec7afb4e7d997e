package server

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/kongring/kongring/server/wire"
)

// instance is a plugin with the config of one plugin entity. All sessions
// share it; the registry counts how many do.
type instance struct {
	plugin   *plugin
	key      instanceKey
	config   []byte // as it came; for traces
	handlers [len(wire.PhaseNames)]handler
	profiles [len(wire.PhaseNames)]*profile

	// slow counts, by phase, the events that still get a goroutine of their
	// own because a handler before them kept the ring for too long.
	slow [len(wire.PhaseNames)]atomic.Int32

	sharers int // guarded by the registry's lock
	started chan struct{}
	err     error // why it did not start; written before started is closed
}

// instanceKey says when two workers mean the same instance. The config counts
// without Kong's bookkeeping, which differs from worker to worker.
type instanceKey struct {
	plugin string
	entity string
	config [sha256.Size]byte
}

// registry holds the instances of a server. Its methods may be called by any
// goroutine.
type registry struct {
	plugins map[string]*plugin // immutable
	bounds  prefetchBounds     // immutable

	mu        sync.Mutex
	instances map[instanceKey]*instance
}

func newRegistry(plugins []*plugin, bounds prefetchBounds) (*registry, error) {
	r := &registry{plugins: map[string]*plugin{}, bounds: bounds, instances: map[instanceKey]*instance{}}
	for _, p := range plugins {
		if r.plugins[p.name] != nil {
			return nil, fmt.Errorf("plugin %s is given twice", p.name)
		}
		r.plugins[p.name] = p
	}
	return r, nil
}

// start gives the instance that request describes, one that runs already or a
// new one. Whoever asks for an instance that is just being started waits for
// the same start. Each success is ended by release.
func (r *registry) start(ctx context.Context, request *wire.StartInstance) (*instance, error) {
	p := r.plugins[request.Plugin]
	if p == nil {
		return nil, refused(errNoPlugin, "no plugin named %q in this server", request.Plugin)
	}
	sum, err := configSum(request.Config)
	if err != nil {
		return nil, refused(errBadConfig, "config of plugin %s: %w", p.name, err)
	}
	key := instanceKey{plugin: p.name, entity: request.Key, config: sum}

	r.mu.Lock()
	in, found := r.instances[key]
	if !found {
		in = &instance{plugin: p, key: key, config: slices.Clone(request.Config), started: make(chan struct{})}
		r.instances[key] = in
	}
	in.sharers++
	r.mu.Unlock()

	if !found {
		in.err = in.construct(request.Config, r.bounds)
		close(in.started)
	}
	select {
	case <-in.started:
		err = in.err
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		r.release(in)
		return nil, err
	}
	return in, nil
}

// release ends one sharer's use. The last one drops the instance, and so does
// the first one of an instance that did not start: the next try starts anew.
func (r *registry) release(in *instance) {
	r.mu.Lock()
	defer r.mu.Unlock()
	in.sharers--
	failed := false
	select {
	case <-in.started:
		failed = in.err != nil
	default:
	}
	if (in.sharers == 0 || failed) && r.instances[in.key] == in {
		delete(r.instances, in.key)
	}
}

// count gives the number of instances.
func (r *registry) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.instances)
}

// construct makes the plugin's config. A constructor that panics is the
// plugin's fault, not the server's.
func (in *instance) construct(config []byte, bounds prefetchBounds) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("constructor of plugin %s panicked: %v", in.plugin.name, v)
		}
	}()
	c := in.plugin.construct()
	if err := decode(config, c); err != nil {
		err = withoutValues(err)
		if err == errUnfit || err == errDecoder {
			err = in.plugin.unfitField(config, err)
		}
		return refused(errBadConfig, "config of plugin %s: %w", in.plugin.name, err)
	}
	in.handlers = handlersOf(c)
	for phase := range in.profiles {
		in.profiles[phase] = newProfile(in.plugin.pinned[phase], bounds)
	}
	return nil
}

// decode fills a config. A decoder of the plugin's that panics has the value in
// its hands, so what it says stays here.
func decode(config []byte, into interface{}) (err error) {
	defer func() {
		if recover() != nil {
			err = errDecoder
		}
	}()
	return json.Unmarshal(config, into)
}

// withoutValues says what is wrong with a config and keeps its values, which
// may be secret, out of the text.
func withoutValues(err error) error {
	if err == errDecoder {
		return err
	}
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		return fmt.Errorf("field %q does not fit the Go type %s", wrong.Field, wrong.Type)
	}
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("no JSON: fault at byte %d", syntax.Offset)
	}
	return errUnfit
}

// errUnfit is all there is to say of an error of a field's own decoder, whose
// text may hold the value.
var (
	errUnfit   = errors.New("it does not fit the plugin's config struct")
	errDecoder = errors.New("the plugin panicked while it decoded it")
)

// unfitField names the field of a config that its own decoder refuses, where
// there is one; else it gives the error of the whole.
func (p *plugin) unfitField(config []byte, whole error) error {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(config, &keys); err != nil {
		return whole
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		alone, err := json.Marshal(map[string]json.RawMessage{key: keys[key]})
		if err == nil && decode(alone, p.construct()) != nil {
			return fmt.Errorf("field %q: %w", key, whole)
		}
	}
	return whole
}

// configSum is a checksum of a config that depends neither on the order of its
// keys nor on Kong's bookkeeping.
func configSum(config []byte) (sum [sha256.Size]byte, err error) {
	d := json.NewDecoder(bytes.NewReader(config))
	d.UseNumber()
	var table map[string]interface{}
	if err := d.Decode(&table); err != nil {
		return sum, withoutValues(err)
	}
	delete(table, "__seq__")
	delete(table, "__key__")
	text, err := json.Marshal(table) // sorts keys, at every depth
	return sha256.Sum256(text), err
}
