package bridge

import (
	"errors"
	"fmt"

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
	if msgp.IsNil(c.result) {
		return 0, nil
	}
	n, _, err := readNumber(c.result)
	return n, err
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

// Checked runs a write that says whether it worked.
func (c *Call) Checked() error {
	defer c.mu.Unlock()
	return c.get()
}

// ToBytes runs the call and gives its result as bytes: nil for nil.
func (c *Call) ToBytes() ([]byte, error) {
	defer c.mu.Unlock()
	if err := c.get(); err != nil {
		return nil, err
	}
	text, err := bytesIn(c.result)
	return append([]byte(nil), text...), err
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

// ToCaptures runs the call and gives its result as URI captures: both are nil
// where there are none.
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
	for k, e := range byName {
		if named == nil {
			named = make(map[string][]byte, len(byName))
		}
		s, _ := e.(string)
		named[k] = []byte(s)
	}
	return unnamed, named, nil
}
