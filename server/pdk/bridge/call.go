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
// after Response.Exit, after the deadline, when the worker went away or ended the
// request, or from a goroutine that outlived its handler.
var ErrOver = errors.New("the event is over")

// Transport carries the calls of an event to the worker that runs it.
type Transport interface {
	// Get finds what the method gives, and hands it to c.SetResult. The error
	// says why there is nothing, or carries what the method raised.
	Get(c *Call) error
	// Post makes a write, a call that gives nothing, in its turn. The error
	// says that the event is over.
	Post(c *Call) error
	// Exit makes the call the last word of the event, and does not wait.
	Exit(c *Call)
	// LogLevel is the level above which lines are not written, as nginx counts.
	LogLevel() int
	// Context gives the context of the event under way.
	Context() context.Context
}

// MaxArguments bounds the arguments of one call; only log lines come near.
const MaxArguments = 1<<16 - 1

// argsStart is where the arguments start in their buffer: behind an array header
// of three bytes, filled in when their number is known.
const argsStart = 3

// Call is the PDK call under way of one event: its buffers are reused from
// call to call. A call runs from [PdkBridge.Ask], which locks it, to one of
// the methods that give a result, which unlocks it; goroutines of one handler
// may so call the PDK side by side, one after the other.
type Call struct {
	transport Transport
	spooler   *uint32 // user whose files bodies may be in; nil for any

	mu     sync.Mutex
	life   uint64 // number of the event that has the Call, 0 between two
	lives  uint64 // events that had it
	method wire.MethodID
	args   []byte // array of arguments
	count  int    // of the arguments
	result []byte
	err    error // of an argument that has no place in a message
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

// Args gives the arguments as a MessagePack array, for as long as the call is
// under way.
func (c *Call) Args() []byte {
	const array16 = 0xdc
	c.args[0], c.args[1], c.args[2] = array16, byte(c.count>>8), byte(c.count)
	return c.args
}

// SetResult gives the call its result, which stays as it is until the call has
// ended.
func (c *Call) SetResult(result []byte) { c.result = result }

func (c *Call) begin(life uint64, m wire.MethodID) *Call {
	c.mu.Lock()
	c.method, c.count, c.err = m, 0, nil
	if life != c.life {
		c.err = ErrOver
	}
	if cap(c.args) < argsStart {
		c.args = make([]byte, argsStart, 256)
	}
	c.args = c.args[:argsStart]
	return c
}

// String adds a string argument. Any bytes will do, UTF-8 or not.
func (c *Call) String(s string) *Call {
	c.count++
	c.args = msgp.AppendString(c.args, s)
	return c
}

// Bytes adds a string argument from bytes.
func (c *Call) Bytes(b []byte) *Call {
	c.count++
	c.args = msgp.AppendBytes(c.args, b)
	return c
}

// Int adds an integer argument.
func (c *Call) Int(n int) *Call {
	c.count++
	c.args = msgp.AppendInt(c.args, n)
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
	c.count++
	c.args = msgp.AppendBool(c.args, b)
	return c
}

// Nil adds an argument that is nil in Lua.
func (c *Call) Nil() *Call {
	c.count++
	c.args = msgp.AppendNil(c.args)
	return c
}

// Headers adds a map of names to lists of values as an argument.
func (c *Call) Headers(h map[string][]string) *Call {
	c.count++
	c.args = msgp.AppendMapHeader(c.args, uint32(len(h)))
	for name, values := range h {
		c.args = msgp.AppendString(c.args, name)
		c.args = msgp.AppendArrayHeader(c.args, uint32(len(values)))
		for _, v := range values {
			c.args = msgp.AppendString(c.args, v)
		}
	}
	return c
}

// Strings adds a list of strings as an argument.
func (c *Call) Strings(list []string) *Call {
	c.count++
	c.args = msgp.AppendArrayHeader(c.args, uint32(len(list)))
	for _, s := range list {
		c.args = msgp.AppendString(c.args, s)
	}
	return c
}

// Text adds a string argument that is nil in Lua where s is "".
func (c *Call) Text(s string) *Call {
	if s == "" {
		return c.Nil()
	}
	return c.String(s)
}

// Number adds an integer argument that is nil in Lua where n is 0.
func (c *Call) Number(n int) *Call {
	if n == 0 {
		return c.Nil()
	}
	return c.Int(n)
}

// Field adds a table with one field, a string, as an argument.
func (c *Call) Field(name, s string) *Call {
	c.count++
	c.args = msgp.AppendString(msgp.AppendString(msgp.AppendMapHeader(c.args, 1), name), s)
	return c
}

// Value adds an argument of any of the types that a Lua value can come from:
// nil, bool, integers, floats, string, []byte (as base64 text, like go-pdk),
// map[string]interface{} and []interface{} of these. Another type makes the
// call fail with "invalid type: T" without being sent.
func (c *Call) Value(v interface{}) *Call {
	if c.count++; c.count > MaxArguments {
		c.err = fmt.Errorf("%d arguments: the limit is %d", c.count, MaxArguments)
		return c
	}
	if c.err == nil {
		c.args, c.err = appendValue(c.args, v, 0)
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

// get runs a call that has a result; the caller reads it and unlocks.
func (c *Call) get() error {
	if c.err != nil {
		return c.err
	}
	return c.transport.Get(c)
}

// Done runs a call that has no result.
func (c *Call) Done() error {
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	return c.transport.Post(c)
}

// Log runs a call that writes a line at a level of nginx, unless the line would
// not be written.
func (c *Call) Log(level int) error {
	defer c.mu.Unlock()
	if c.err != nil || level > c.transport.LogLevel() {
		return c.err
	}
	return c.transport.Post(c)
}

// Exit runs a call that ends the event.
func (c *Call) Exit() {
	defer c.mu.Unlock()
	if c.err == nil {
		c.transport.Exit(c)
	}
}
