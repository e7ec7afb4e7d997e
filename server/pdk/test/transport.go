package test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"

	"github.com/tinylib/msgp/msgp"

	"github.com/kongring/kongring/server/pdk/bridge"
	"github.com/kongring/kongring/server/wire"
)

// transport is a TestEnv as what carries its calls. The call's lock is held
// while its methods run.
type transport TestEnv

// answer is what a method does in Kong: it gives its result, of the kind that
// wire.Methods says, or a refusal.
type answer func(e *TestEnv, a args) (interface{}, error)

// said is an error that Lua gives behind a nil, which is no refusal.
type said struct{ error }

// answers are all methods.
var answers = merge(requestAnswers, responseAnswers, serviceAnswers, serviceRequestAnswers, clientAnswers,
	logAnswers, otherAnswers)

func merge(all ...map[wire.MethodID]answer) map[wire.MethodID]answer {
	out := map[wire.MethodID]answer{}
	for _, some := range all {
		maps.Copy(out, some)
	}
	return out
}

// do runs a call as Kong would.
func (t *transport) do(c *bridge.Call) (interface{}, error) {
	e := (*TestEnv)(t)
	id := c.Method()
	if e.over {
		return nil, bridge.ErrOver
	}
	v, _, err := msgp.ReadIntfBytes(c.Args())
	if err != nil {
		return nil, err // the PDK wrote it
	}
	if !wire.Methods[id].Phases.Has(e.phase) {
		err = fmt.Errorf("cannot be called in the phase %s", wire.PhaseNames[e.phase])
	} else {
		list, _ := v.([]interface{})
		v, err = answers[id](e, args(list))
	}
	if err == nil {
		return v, nil
	}
	err = fmt.Errorf("%s: %w", id, err)
	if !errors.As(err, &said{}) {
		e.Errorf("%v", err)
		e.over, e.finished = true, true
		e.ClientRes.Status = http.StatusInternalServerError
	}
	return nil, err
}

// Get implements bridge.Transport.
func (t *transport) Get(c *bridge.Call) error {
	v, err := t.do(c)
	if err != nil {
		return err
	}
	b, err := encode(wire.Methods[c.Method()].Result, v)
	c.SetResult(b)
	return err
}

// Post implements bridge.Transport.
func (t *transport) Post(c *bridge.Call) error {
	_, err := t.do(c)
	return err
}

// Exit implements bridge.Transport.
func (t *transport) Exit(c *bridge.Call) {
	if _, err := t.do(c); err == nil {
		t.over, t.finished = true, true
	}
}

// LogLevel implements bridge.Transport: all lines are written.
func (t *transport) LogLevel() int {
	const debug = 8
	return debug
}

// Context implements bridge.Transport.
func (t *transport) Context() context.Context { return t.t.Context() }

// Kinds of body, as package bridge reads them.
const bodyContent = 0

// encode gives a result as a worker would send it.
func encode(kind wire.Result, v interface{}) ([]byte, error) {
	switch v := v.(type) {
	case map[string][]string: // a multimap
		b := msgp.AppendMapHeader(nil, uint32(len(v)))
		for name, values := range v {
			b = msgp.AppendArrayHeader(msgp.AppendString(b, name), uint32(len(values)))
			for _, value := range values {
				b = msgp.AppendString(b, value)
			}
		}
		return b, nil
	case []byte:
		if kind == wire.ResultBody {
			return msgp.AppendBytes(msgp.AppendInt(msgp.AppendArrayHeader(nil, 2), bodyContent), v), nil
		}
	}
	return msgp.AppendIntf(nil, v)
}
