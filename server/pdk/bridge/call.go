package bridge

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"sync"

	"github.com/tinylib/msgp/msgp"

	"github.com/kongring/kongring/server/wire"
)

// ErrOver is wrapped by every PDK call that comes after the end of its event:
// after Response.Exit, after the deadline, when the client or the worker went
// away, or from a goroutine that outlived its handler.
var ErrOver = errors.New("the event is over")

// Transport carries the calls of an event to the worker that runs it.
type Transport interface {
	// RoundTrip sends c.Message, waits for the answer and gives it to
	// c.SetAnswer. The error says why there is no answer, or carries what the
	// method raised.
	RoundTrip(c *Call) error
	// Exit sends c.Message as the last word of the event and does not wait.
	Exit(c *Call)
	// Context gives the context of the event under way.
	Context() context.Context
}

// MaxArguments bounds the arguments of one call; only log lines come near.
const MaxArguments = 1<<16 - 1

// argsStart is where the arguments of a message start: behind its head and an
// array header of three bytes, filled in when their number is known.
const argsStart = wire.HeadSize + 3

// Call is the PDK call under way of one event: its buffers are reused from
// call to call. A call runs from [PdkBridge.Ask], which locks it, to one of
// the methods that give a result, which unlocks it; goroutines of one handler
// may so call the PDK side by side, one after the other.
type Call struct {
	transport Transport

	mu      sync.Mutex
	life    uint64 // number of the event that has the Call, 0 between two
	lives   uint64 // events that had it
	method  wire.MethodID
	message []byte // head and arguments
	args    int
	answer  []byte // head and result
	err     error  // of an argument that has no place in a message
}

// Init makes the zero Call ready. It is called once, by the server.
func (c *Call) Init(t Transport) { c.transport = t }

// Open begins an event: the bridge that it gives makes calls until Close.
func (c *Call) Open() PdkBridge {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lives++
	c.life = c.lives
	return PdkBridge{call: c, life: c.life}
}

// Close ends an event. It waits for the call under way; calls after it, by
// whoever kept a bridge, give ErrOver, also once the Call has another event.
func (c *Call) Close() {
	c.mu.Lock()
	c.life = 0
	c.mu.Unlock()
}

// Method is the method that is called.
func (c *Call) Method() wire.MethodID { return c.method }

// Message gives the message to send; the transport fills in its head.
func (c *Call) Message() []byte {
	const array16 = 0xdc
	c.message[wire.HeadSize] = array16
	c.message[wire.HeadSize+1] = byte(c.args >> 8)
	c.message[wire.HeadSize+2] = byte(c.args)
	return c.message
}

// SetAnswer takes over the message that answers the call and gives the buffer
// of an earlier one in exchange.
func (c *Call) SetAnswer(message []byte) []byte {
	old := c.answer
	c.answer = message
	return old[:0]
}

// Result gives the body of the answer.
func (c *Call) Result() []byte { return c.answer[wire.HeadSize:] }

func (c *Call) begin(life uint64, m wire.MethodID) *Call {
	c.mu.Lock()
	c.method, c.args, c.err = m, 0, nil
	if life != c.life {
		c.err = ErrOver
	}
	if cap(c.message) < argsStart {
		c.message = make([]byte, argsStart, 256)
	}
	c.message = c.message[:argsStart]
	return c
}

// String adds a string argument. Any bytes will do, UTF-8 or not.
func (c *Call) String(s string) *Call {
	c.args++
	c.message = msgp.AppendString(c.message, s)
	return c
}

// Bytes adds a string argument from bytes.
func (c *Call) Bytes(b []byte) *Call {
	c.args++
	c.message = msgp.AppendBytes(c.message, b)
	return c
}

// Int adds an integer argument.
func (c *Call) Int(n int) *Call {
	c.args++
	c.message = msgp.AppendInt(c.message, n)
	return c
}

// Limit adds the number of entries that a map is cut to: -1 stands for Kong's
// default, 100.
func (c *Call) Limit(max int) *Call {
	if max == -1 {
		max = 100
	}
	return c.Int(max)
}

// Bool adds a boolean argument.
func (c *Call) Bool(b bool) *Call {
	c.args++
	c.message = msgp.AppendBool(c.message, b)
	return c
}

// Nil adds an argument that is nil in Lua.
func (c *Call) Nil() *Call {
	c.args++
	c.message = msgp.AppendNil(c.message)
	return c
}

// Headers adds a map of names to lists of values as an argument.
func (c *Call) Headers(h map[string][]string) *Call {
	c.args++
	c.message = msgp.AppendMapHeader(c.message, uint32(len(h)))
	for name, values := range h {
		c.message = msgp.AppendString(c.message, name)
		c.message = msgp.AppendArrayHeader(c.message, uint32(len(values)))
		for _, v := range values {
			c.message = msgp.AppendString(c.message, v)
		}
	}
	return c
}

// Value adds an argument of any of the types that a Lua value can come from:
// nil, bool, integers, floats, string, []byte (as base64 text, like go-pdk),
// map[string]interface{} and []interface{} of these. Another type makes the
// call fail with "invalid type: T" without being sent.
func (c *Call) Value(v interface{}) *Call {
	if c.args++; c.args > MaxArguments {
		c.err = fmt.Errorf("%d arguments: the limit is %d", c.args, MaxArguments)
		return c
	}
	if c.err == nil {
		c.message, c.err = appendValue(c.message, v, 0)
	}
	return c
}

// maxDepth is the deepest nesting of a value in either direction; the Lua side
// has the same.
const maxDepth = 32

func appendValue(b []byte, v interface{}, depth int) ([]byte, error) {
	if depth > maxDepth {
		return b, fmt.Errorf("value nested deeper than %d", maxDepth)
	}
	switch v := v.(type) {
	case nil:
		return msgp.AppendNil(b), nil
	case bool:
		return msgp.AppendBool(b, v), nil
	case int:
		return msgp.AppendInt(b, v), nil
	case int8:
		return msgp.AppendInt8(b, v), nil
	case int16:
		return msgp.AppendInt16(b, v), nil
	case int32:
		return msgp.AppendInt32(b, v), nil
	case int64:
		return msgp.AppendInt64(b, v), nil
	case uint:
		return msgp.AppendUint(b, v), nil
	case uint8:
		return msgp.AppendUint8(b, v), nil
	case uint16:
		return msgp.AppendUint16(b, v), nil
	case uint32:
		return msgp.AppendUint32(b, v), nil
	case uint64:
		return msgp.AppendUint64(b, v), nil
	case float32:
		return msgp.AppendFloat64(b, float64(v)), nil
	case float64:
		return msgp.AppendFloat64(b, v), nil
	case string:
		return msgp.AppendString(b, v), nil
	case []byte:
		return msgp.AppendString(b, base64.StdEncoding.EncodeToString(v)), nil
	case []interface{}:
		b = msgp.AppendArrayHeader(b, uint32(len(v)))
		for _, e := range v {
			var err error
			if b, err = appendValue(b, e, depth+1); err != nil {
				return b, err
			}
		}
		return b, nil
	case map[string]interface{}:
		b = msgp.AppendMapHeader(b, uint32(len(v)))
		for k, e := range v {
			var err error
			if b, err = appendValue(msgp.AppendString(b, k), e, depth+1); err != nil {
				return b, err
			}
		}
		return b, nil
	}
	return b, fmt.Errorf("invalid type: %T", v)
}

// send runs the call; the caller reads the result and unlocks.
func (c *Call) send() error {
	if c.err != nil {
		return c.err
	}
	return c.transport.RoundTrip(c)
}

// Done runs a call that has no result.
func (c *Call) Done() error {
	defer c.mu.Unlock()
	return c.send()
}

// Exit runs a call that ends the event.
func (c *Call) Exit() {
	defer c.mu.Unlock()
	if c.err == nil {
		c.transport.Exit(c)
	}
}
