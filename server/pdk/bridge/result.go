package bridge

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/tinylib/msgp/msgp"
)

// ReturnTypeError is the error of a result of another type than expected.
func ReturnTypeError(expected string) error {
	return fmt.Errorf("expected type: %s", expected)
}

// ToString runs the call and gives its result as a string: "" for nil.
func (c *Call) ToString() (string, error) {
	defer c.mu.Unlock()
	if err := c.get(); err != nil {
		return "", err
	}
	return stringOf(c.result)
}

func stringOf(b []byte) (string, error) {
	text, err := bytesIn(b)
	return string(text), err
}

// bytesIn gives the text of a str or bin without copying it, nil for nil.
func bytesIn(b []byte) ([]byte, error) {
	switch msgp.NextType(b) {
	case msgp.NilType:
		return nil, nil
	case msgp.StrType:
		text, _, err := msgp.ReadStringZC(b)
		return text, err
	case msgp.BinType:
		text, _, err := msgp.ReadBytesZC(b)
		return text, err
	}
	return nil, ReturnTypeError("string")
}

// ToInt runs the call and gives its result as an integer: 0 for nil. A number
// with a fraction loses it.
func (c *Call) ToInt() (int, error) {
	n, err := c.ToNumber()
	return int(n), err
}

// ToNumber runs the call and gives its result as a number: 0 for nil.
func (c *Call) ToNumber() (float64, error) {
	defer c.mu.Unlock()
	if err := c.get(); err != nil {
		return 0, err
	}
	v, _, err := readValue(c.result, 0)
	if err != nil || v == nil {
		return 0, err
	}
	n, ok := v.(float64)
	if !ok {
		return 0, ReturnTypeError("number")
	}
	return n, nil
}

// ToBool runs the call and gives its result as a boolean: false for nil.
func (c *Call) ToBool() (bool, error) {
	v, err := c.ToValue()
	if err != nil || v == nil {
		return false, err
	}
	b, ok := v.(bool)
	if !ok {
		return false, ReturnTypeError("boolean")
	}
	return b, nil
}

// ToValue runs the call and gives its result as nil, bool, float64, string,
// []interface{} or map[string]interface{} of these.
func (c *Call) ToValue() (interface{}, error) {
	defer c.mu.Unlock()
	if err := c.get(); err != nil {
		return nil, err
	}
	v, _, err := readValue(c.result, 0)
	return v, err
}

// ToHeaders runs the call and gives its result as a map of names to lists of
// values, which is never nil without an error.
func (c *Call) ToHeaders() (map[string][]string, error) {
	defer c.mu.Unlock()
	if err := c.get(); err != nil {
		return nil, err
	}
	headers := map[string][]string{}
	if msgp.IsNil(c.result) {
		return headers, nil
	}
	n, b, err := msgp.ReadMapHeaderBytes(c.result)
	for ; n > 0 && err == nil; n-- {
		var name string
		var values []string
		if name, b, err = msgp.ReadStringBytes(b); err == nil {
			values, b, err = readStrings(b)
		}
		headers[name] = values
	}
	if err != nil {
		return nil, fmt.Errorf("decode headers: %w", err)
	}
	return headers, nil
}

func readStrings(b []byte) ([]string, []byte, error) {
	n, b, err := msgp.ReadArrayHeaderBytes(b)
	if err != nil || int64(n) > int64(len(b)) {
		return nil, b, errors.Join(err, errLength(n, b))
	}
	values := make([]string, n)
	for i := range values {
		if values[i], b, err = msgp.ReadStringBytes(b); err != nil {
			return nil, b, err
		}
	}
	return values, b, nil
}

// errLength refuses a declared length that the bytes behind cannot hold,
// before anything is allocated for it.
func errLength(n uint32, b []byte) error {
	if int64(n) > int64(len(b)) {
		return fmt.Errorf("%d elements in %d bytes", n, len(b))
	}
	return nil
}

// Kinds of the pair that a body comes as.
const (
	bodyContent = 0 // the bytes
	bodyFile    = 1 // name of the file that nginx spooled it to
	bodyError   = 2 // why there is none
)

// ToBody runs the call and gives its result as a body. One that nginx spooled
// to a file is read here: the server needs the rights to do so.
func (c *Call) ToBody() ([]byte, error) {
	defer c.mu.Unlock()
	if err := c.get(); err != nil {
		return nil, err
	}
	n, b, err := msgp.ReadArrayHeaderBytes(c.result)
	if err != nil || n != 2 {
		return nil, errors.Join(err, ReturnTypeError("body"))
	}
	kind, b, err := msgp.ReadIntBytes(b)
	if err != nil {
		return nil, fmt.Errorf("decode body: %w", err)
	}
	text, err := bytesIn(b)
	if err != nil {
		return nil, fmt.Errorf("decode body: %w", err)
	}
	switch kind {
	case bodyContent:
		return append([]byte(nil), text...), nil
	case bodyFile:
		return readSpooled(string(text))
	case bodyError:
		return nil, errors.New(string(text))
	}
	return nil, fmt.Errorf("decode body: kind %d", kind)
}

// readSpooled reads a file that the worker named. Only a regular file ends by
// itself: a device or a pipe could keep the handler for ever.
func readSpooled(name string) ([]byte, error) {
	file, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("body in %s, which is not a regular file", name)
	}
	var b bytes.Buffer
	b.Grow(int(min(info.Size(), 64<<20)) + bytes.MinRead) // one read for all but the longest
	_, err = b.ReadFrom(io.LimitReader(file, info.Size()))
	return b.Bytes(), err
}

// ToCaptures runs the call and gives its result as URI captures.
func (c *Call) ToCaptures() (unnamed [][]byte, named map[string][]byte, err error) {
	defer c.mu.Unlock()
	if err := c.get(); err != nil {
		return nil, nil, err
	}
	v, _, err := readValue(c.result, 0)
	if err != nil || v == nil {
		return nil, nil, err
	}
	pair, ok := v.([]interface{})
	if !ok || len(pair) != 2 {
		return nil, nil, ReturnTypeError("captures")
	}
	list, _ := pair[0].([]interface{})
	for _, e := range list {
		s, _ := e.(string)
		unnamed = append(unnamed, []byte(s))
	}
	byName, _ := pair[1].(map[string]interface{})
	named = make(map[string][]byte, len(byName))
	for k, e := range byName {
		s, _ := e.(string)
		named[k] = []byte(s)
	}
	return unnamed, named, nil
}

// ToTable runs the call and gives its result as a table with string keys, nil
// for nil.
func (c *Call) ToTable() (Table, error) {
	v, err := c.ToValue()
	if err != nil || v == nil {
		return nil, err
	}
	m, ok := v.(map[string]interface{})
	if !ok {
		return nil, ReturnTypeError("table")
	}
	return m, nil
}

// Table is a Lua table with string keys. Its getters give the zero value for
// what is absent or of another type.
type Table map[string]interface{}

// Text gives the string at k.
func (t Table) Text(k string) string {
	s, _ := t[k].(string)
	return s
}

// Number gives the number at k as an integer.
func (t Table) Number(k string) int {
	n, _ := t[k].(float64)
	return int(n)
}

// List gives the strings of the list at k, nil when it has none.
func (t Table) List(k string) []string {
	list, _ := t[k].([]interface{})
	var out []string
	for _, e := range list {
		if s, ok := e.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// Sub gives the table at k, nil when there is none.
func (t Table) Sub(k string) Table {
	m, _ := t[k].(map[string]interface{})
	return m
}

// readValue decodes one value; all numbers become float64, as they are in Lua.
func readValue(b []byte, depth int) (interface{}, []byte, error) {
	if depth > maxDepth {
		return nil, b, fmt.Errorf("value nested deeper than %d", maxDepth)
	}
	switch msgp.NextType(b) {
	case msgp.NilType:
		b, err := msgp.ReadNilBytes(b)
		return nil, b, err
	case msgp.BoolType:
		return wrap(msgp.ReadBoolBytes(b))
	case msgp.IntType:
		n, b, err := msgp.ReadInt64Bytes(b)
		return float64(n), b, err
	case msgp.UintType:
		n, b, err := msgp.ReadUint64Bytes(b)
		return float64(n), b, err
	case msgp.Float32Type:
		n, b, err := msgp.ReadFloat32Bytes(b)
		return float64(n), b, err
	case msgp.Float64Type:
		return wrap(msgp.ReadFloat64Bytes(b))
	case msgp.StrType:
		return wrap(msgp.ReadStringBytes(b))
	case msgp.BinType:
		text, b, err := msgp.ReadBytesZC(b)
		return string(text), b, err
	case msgp.ArrayType:
		return readArray(b, depth)
	case msgp.MapType:
		return readMap(b, depth)
	}
	return nil, b, fmt.Errorf("no value that Lua has: MessagePack type %s", msgp.NextType(b))
}

func wrap[T any](v T, b []byte, err error) (interface{}, []byte, error) { return v, b, err }

// maxAhead is how many elements are allocated before they were seen: the same
// bytes may be promised to elements at each depth.
const maxAhead = 64

func readArray(b []byte, depth int) (interface{}, []byte, error) {
	n, b, err := msgp.ReadArrayHeaderBytes(b)
	if err = errors.Join(err, errLength(n, b)); err != nil {
		return nil, b, err
	}
	list := make([]interface{}, 0, min(n, maxAhead))
	for ; n > 0; n-- {
		var v interface{}
		if v, b, err = readValue(b, depth+1); err != nil {
			return nil, b, err
		}
		list = append(list, v)
	}
	return list, b, nil
}

func readMap(b []byte, depth int) (interface{}, []byte, error) {
	n, b, err := msgp.ReadMapHeaderBytes(b)
	if err = errors.Join(err, errLength(n, b)); err != nil {
		return nil, b, err
	}
	m := make(map[string]interface{}, min(n, maxAhead))
	for ; n > 0; n-- {
		var k, v interface{}
		if k, b, err = readValue(b, depth+1); err != nil {
			return nil, b, err
		}
		if v, b, err = readValue(b, depth+1); err != nil {
			return nil, b, err
		}
		m[fmt.Sprint(k)] = v
	}
	return m, b, nil
}
