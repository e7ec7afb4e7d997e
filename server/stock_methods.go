package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tinylib/msgp/msgp"

	"github.com/kongring/kongring/server/metrics"
	"github.com/kongring/kongring/server/wire"
)

// stockInstance is an instance in the hands of Kong. Each worker starts its own;
// those with the same config share what the plugin made of it.
type stockInstance struct {
	*instance
	id      uint64
	config  []byte // as Kong sent it
	started time.Time
}

// startInstance starts an instance. undo closes it again.
func (k *stock) startInstance(request *stockRequest) (result []byte, undo func(), err error) {
	name, err := bytesIn(request.fields["Name"])
	if err != nil {
		return nil, nil, fmt.Errorf("%s: Name: %w", request.method, err)
	}
	config, err := bytesIn(request.fields["Config"])
	if err != nil {
		return nil, nil, fmt.Errorf("%s: Config: %w", request.method, err)
	}
	if k.server.draining() && !request.elsewhere {
		return nil, nil, errStops
	}
	entity := struct {
		ID string `json:"__plugin_id"`
	}{}
	_ = json.Unmarshal(config, &entity) // start tells what is wrong with it
	logger := k.server.options.logger.With("plugin", string(name), "entity", entity.ID)
	shared, err := k.server.registry.start(k.ctx, &wire.StartInstance{
		Plugin: string(name), Key: entity.ID, Config: config,
	})
	if err != nil {
		logger.Warn("instance did not start", "error", err)
		return nil, nil, err
	}
	in := &stockInstance{instance: shared, config: config, started: time.Now()}
	if err := k.addInstance(in); err != nil {
		k.server.registry.release(shared)
		return nil, nil, err
	}
	logger.Info("instance started", "instance", in.id)
	return in.status(), func() { _ = k.dropInstance(in.id) }, nil
}

func (k *stock) addInstance(in *stockInstance) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return errStops
	}
	if len(k.instances) >= k.server.options.maxInstances {
		return fmt.Errorf("%d instances are open: that is the limit", k.server.options.maxInstances)
	}
	k.lastInstance++
	in.id = k.lastInstance
	k.instances[in.id] = in
	return nil
}

// dropInstance gives an instance back, if it is there. Events on it go on.
func (k *stock) dropInstance(id uint64) *stockInstance {
	k.mu.Lock()
	in := k.instances[id]
	delete(k.instances, id)
	k.mu.Unlock()
	if in != nil {
		k.server.registry.release(in.instance)
	}
	return in
}

func (k *stock) instanceByID(id uint64) *stockInstance {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.instances[id]
}

// noStockInstance has the words by which Kong knows that it has to start the
// instance again.
func noStockInstance(id uint64) error { return refused(errNoInstance, "no plugin instance %d", id) }

func (k *stock) closeInstance(request *stockRequest) ([]byte, error) {
	return request.ofInstance(k.dropInstance)
}

func (k *stock) instanceStatus(request *stockRequest) ([]byte, error) {
	return request.ofInstance(k.instanceByID)
}

// ofInstance answers a request about the instance that get gives.
func (request *stockRequest) ofInstance(get func(uint64) *stockInstance) ([]byte, error) {
	id, err := uintIn(request.arg)
	if err != nil {
		return nil, fmt.Errorf("%s: instance: %w", request.method, err)
	}
	in := get(id)
	if in == nil {
		return nil, noStockInstance(id)
	}
	return in.status(), nil
}

// status describes the instance as the methods about instances do.
func (in *stockInstance) status() []byte {
	var config map[string]interface{}
	_ = json.Unmarshal(in.config, &config) // it was read before
	out := msgp.AppendMapHeader(nil, 4)
	out = msgp.AppendString(msgp.AppendString(out, "Name"), in.plugin.name)
	out = msgp.AppendUint64(msgp.AppendString(out, "Id"), in.id)
	out = msgp.AppendInt64(msgp.AppendString(out, "StartTime"), in.started.Unix())
	out, _ = msgp.AppendIntf(msgp.AppendString(out, "Config"), config) // what JSON has, it has too
	return out
}

// handleEvent begins an event and gives its first turn.
func (k *stock) handleEvent(request *stockRequest, gone <-chan struct{}) ([]byte, error) {
	id, err := uintIn(request.fields["InstanceId"])
	if err != nil {
		return nil, fmt.Errorf("%s: InstanceId: %w", request.method, err)
	}
	name, err := bytesIn(request.fields["EventName"])
	if err != nil {
		return nil, fmt.Errorf("%s: EventName: %w", request.method, err)
	}
	in := k.instanceByID(id)
	if in == nil {
		k.countRefused(metrics.NoInstance)
		return nil, noStockInstance(id)
	}
	phase := slices.Index(wire.PhaseNames[:], string(name))
	if phase <= 0 || in.handlers[phase] == nil {
		k.countRefused(metrics.NoPhase)
		return nil, refused(errNoPhase, "undefined method %s on plugin %s", name, in.plugin.name)
	}
	if request.elsewhere {
		k.countRefused(metrics.Shutdown)
		return nil, noStockInstance(id)
	}
	ev, err := k.newEvent(in.instance, uint8(phase))
	if errors.Is(err, errStops) && k.server.replaced() { // since the last look
		request.elsewhere = true
		return nil, noStockInstance(id)
	}
	if err != nil {
		return nil, err
	}
	return ev.stepData(gone)
}

// step takes the answer to a PDK call and gives the turn after it.
func (k *stock) step(request *stockRequest, gone <-chan struct{}) ([]byte, error) {
	id, err := uintIn(request.fields["EventId"])
	if err != nil {
		return nil, fmt.Errorf("%s: EventId: %w", request.method, err)
	}
	k.mu.Lock()
	ev := k.events[id]
	k.mu.Unlock()
	if ev == nil || !ev.answer(request.answer(k.server.options.maxMessage)) {
		return nil, fmt.Errorf("no running event %d", id)
	}
	return ev.stepData(gone)
}

// answer gives what a step says to the handler.
func (request *stockRequest) answer(limit int) stockAnswer {
	data, found := request.fields["Data"]
	switch {
	case request.tooLong:
		return stockAnswer{err: fmt.Errorf("the answer is longer than %d bytes", limit)}
	case !found:
		data = msgp.AppendNil(nil)
	}
	if request.method != "plugin.StepError" {
		return stockAnswer{data: data}
	}
	text, err := bytesIn(data)
	if err != nil || len(text) == 0 {
		text = []byte("Kong gave an error without a text")
	}
	return stockAnswer{err: errors.New(string(text))}
}

// stepData waits for the handler's turn and gives it as a result.
func (ev *stockEvent) stepData(gone <-chan struct{}) ([]byte, error) {
	data, err := ev.next(gone)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 0, len(data)+maxStockName)
	out = msgp.AppendMapHeader(out, 2)
	out = msgp.AppendUint64(msgp.AppendString(out, "EventId"), ev.id)
	return append(msgp.AppendString(out, "Data"), data...), nil
}
