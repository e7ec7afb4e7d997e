package bridge

import (
	"errors"
	"fmt"

	"github.com/tinylib/msgp/msgp"
)

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
	case msgp.IntType, msgp.UintType, msgp.Float32Type, msgp.Float64Type:
		return wrap(readNumber(b))
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

// readNumber decodes a number of any type.
func readNumber(b []byte) (float64, []byte, error) {
	switch msgp.NextType(b) {
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
		return msgp.ReadFloat64Bytes(b)
	}
	return 0, b, ReturnTypeError("number")
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
