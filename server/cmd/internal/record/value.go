package record

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tinylib/msgp/msgp"
)

// Values are kept as JSON has them: nil, bool, json.Number, string, []any and
// map[string]any. What has no place there is a map of one key:
const (
	keyBytes    = "$base64"   // a string that is no UTF-8
	keyFloat    = "$float"    // "inf", "-inf" or "nan"
	keyPairs    = "$pairs"    // a map whose keys are not all strings, or begin with "$": a list of pairs
	keyRedacted = "$redacted" // a string of so many bytes that is not in the record
)

// Bounds of a value.
const (
	maxDepth = 40
	maxText  = 64 << 20 // of a redacted one, in bytes
)

var errDepth = fmt.Errorf("a value is nested deeper than %d", maxDepth)

// take takes one value off a message.
func take(b []byte, depth int) (value any, rest []byte, err error) {
	if depth > maxDepth {
		return nil, b, errDepth
	}
	switch msgp.NextType(b) {
	case msgp.NilType:
		rest, err = msgp.ReadNilBytes(b)
		return nil, rest, err
	case msgp.BoolType:
		value, rest, err = msgp.ReadBoolBytes(b)
		return value, rest, err
	case msgp.IntType:
		n, rest, err := msgp.ReadInt64Bytes(b)
		return json.Number(strconv.FormatInt(n, 10)), rest, err
	case msgp.UintType:
		n, rest, err := msgp.ReadUint64Bytes(b)
		return json.Number(strconv.FormatUint(n, 10)), rest, err
	case msgp.Float32Type:
		n, rest, err := msgp.ReadFloat32Bytes(b)
		return float(float64(n)), rest, err
	case msgp.Float64Type:
		n, rest, err := msgp.ReadFloat64Bytes(b)
		return float(n), rest, err
	case msgp.StrType:
		text, rest, err := msgp.ReadStringZC(b)
		return textOf(text), rest, err
	case msgp.BinType:
		text, rest, err := msgp.ReadBytesZC(b)
		return textOf(text), rest, err
	case msgp.ArrayType:
		return takeList(b, depth)
	case msgp.MapType:
		return takeMap(b, depth)
	}
	return nil, b, errors.New("what is no value that Lua has")
}

func takeList(b []byte, depth int) (any, []byte, error) {
	n, b, err := msgp.ReadArrayHeaderBytes(b)
	if err != nil || uint64(n) > uint64(len(b)) {
		return nil, b, errors.Join(err, fmt.Errorf("%d elements in %d bytes", n, len(b)))
	}
	list := make([]any, n)
	for i := range list {
		if list[i], b, err = take(b, depth+1); err != nil {
			return nil, b, err
		}
	}
	return list, b, nil
}

func takeMap(b []byte, depth int) (any, []byte, error) {
	n, b, err := msgp.ReadMapHeaderBytes(b)
	if err != nil || uint64(n) > uint64(len(b)) {
		return nil, b, errors.Join(err, fmt.Errorf("%d pairs in %d bytes", n, len(b)))
	}
	table, pairs, plain := map[string]any{}, make([]any, 0, n), true
	for range n {
		var key, value any
		if key, b, err = take(b, depth+2); err == nil {
			value, b, err = take(b, depth+2)
		}
		if err != nil {
			return nil, b, err
		}
		name, isText := key.(string)
		_, twice := table[name]
		plain = plain && isText && !twice && !strings.HasPrefix(name, "$")
		table[name] = value
		pairs = append(pairs, []any{key, value})
	}
	if !plain {
		return map[string]any{keyPairs: pairs}, b, nil
	}
	return table, b, nil
}

func float(f float64) any {
	switch {
	case math.IsNaN(f):
		return map[string]any{keyFloat: "nan"}
	case math.IsInf(f, 1):
		return map[string]any{keyFloat: "inf"}
	case math.IsInf(f, -1):
		return map[string]any{keyFloat: "-inf"}
	}
	return json.Number(strconv.FormatFloat(f, 'g', -1, 64))
}

func textOf(text []byte) any {
	if utf8.Valid(text) {
		return string(text)
	}
	return map[string]any{keyBytes: base64.StdEncoding.EncodeToString(text)}
}

// special gives what a map of one "$" key stands for.
func special(table map[string]any) (key string, value any) {
	if len(table) != 1 {
		return "", nil
	}
	for key, value = range table {
	}
	if !strings.HasPrefix(key, "$") {
		return "", nil
	}
	return key, value
}

// redacted gives how long the string is that a value does not give.
func redacted(value any) (bytes int, is bool) {
	table, _ := value.(map[string]any)
	key, content := special(table)
	n, _ := content.(json.Number)
	if key != keyRedacted {
		return 0, false
	}
	bytes, err := strconv.Atoi(n.String())
	return bytes, err == nil && bytes >= 0 && bytes <= maxText
}

// put appends a value as MessagePack. What was redacted becomes a text of "x" of
// the same length.
func put(b []byte, value any, depth int) ([]byte, error) {
	if depth > maxDepth {
		return b, errDepth
	}
	switch v := value.(type) {
	case nil:
		return msgp.AppendNil(b), nil
	case bool:
		return msgp.AppendBool(b, v), nil
	case string:
		return msgp.AppendString(b, v), nil
	case json.Number:
		if n, err := strconv.ParseInt(v.String(), 10, 64); err == nil {
			return msgp.AppendInt64(b, n), nil
		}
		f, err := v.Float64()
		return msgp.AppendFloat64(b, f), err
	case []any:
		b = msgp.AppendArrayHeader(b, uint32(len(v)))
		for _, e := range v {
			var err error
			if b, err = put(b, e, depth+1); err != nil {
				return b, err
			}
		}
		return b, nil
	case map[string]any:
		return putMap(b, v, depth)
	}
	return b, fmt.Errorf("a value of type %T", value)
}

func putMap(b []byte, table map[string]any, depth int) ([]byte, error) {
	if key, content := special(table); key != "" {
		return putSpecial(b, key, content, depth)
	}
	b = msgp.AppendMapHeader(b, uint32(len(table)))
	for _, name := range slices.Sorted(maps.Keys(table)) {
		if strings.HasPrefix(name, "$") {
			return b, fmt.Errorf("a map with the key %q beside others", name)
		}
		var err error
		if b, err = put(msgp.AppendString(b, name), table[name], depth+2); err != nil {
			return b, err
		}
	}
	return b, nil
}

func putSpecial(b []byte, key string, content any, depth int) ([]byte, error) {
	wrong := fmt.Errorf("a value %q that makes no sense", key)
	text, _ := content.(string)
	switch key {
	case keyBytes:
		raw, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return b, wrong
		}
		return msgp.AppendStringFromBytes(b, raw), nil
	case keyFloat:
		f, found := map[string]float64{"nan": math.NaN(), "inf": math.Inf(1), "-inf": math.Inf(-1)}[text]
		if !found {
			return b, wrong
		}
		return msgp.AppendFloat64(b, f), nil
	case keyRedacted:
		n, is := redacted(map[string]any{key: content})
		if !is {
			return b, wrong
		}
		return msgp.AppendString(b, strings.Repeat("x", n)), nil
	case keyPairs:
		pairs, _ := content.([]any)
		b = msgp.AppendMapHeader(b, uint32(len(pairs)))
		for _, p := range pairs {
			pair, _ := p.([]any)
			if len(pair) != 2 {
				return b, wrong
			}
			var err error
			if b, err = put(b, pair[0], depth+2); err == nil {
				b, err = put(b, pair[1], depth+2)
			}
			if err != nil {
				return b, err
			}
		}
		return b, nil
	}
	return b, wrong
}

// valid says whether put would take a value, without the work.
func valid(value any, depth int) error {
	if depth > maxDepth {
		return errDepth
	}
	switch v := value.(type) {
	case []any:
		for _, e := range v {
			if err := valid(e, depth+1); err != nil {
				return err
			}
		}
		return nil
	case map[string]any:
		key, content := special(v)
		if pairs, is := content.([]any); key == keyPairs && is {
			for _, p := range pairs {
				if pair, _ := p.([]any); len(pair) != 2 {
					return errors.New("a pair that is none")
				}
				if err := valid(p, depth+1); err != nil {
					return err
				}
			}
			return nil
		}
		if _, is := redacted(v); is {
			return nil
		}
		if key != "" {
			_, err := putSpecial(nil, key, content, depth)
			return err
		}
		for name, e := range v {
			if strings.HasPrefix(name, "$") {
				return fmt.Errorf("a map with the key %q beside others", name)
			}
			if err := valid(e, depth+2); err != nil {
				return err
			}
		}
		return nil
	}
	_, err := put(nil, value, depth)
	return err
}

// Encode gives a value as MessagePack. What was redacted becomes a text of "x" of
// the same length.
func Encode(value any) ([]byte, error) { return put(nil, value, 0) }

// EncodeList is [Encode] of arguments.
func EncodeList(list []any) ([]byte, error) { return put(nil, list, 0) }

// Same tells whether two values are equal. What was redacted equals any string.
func Same(a, b any) bool {
	if _, is := redacted(a); is {
		return isText(b)
	}
	if _, is := redacted(b); is {
		return isText(a)
	}
	switch a := a.(type) {
	case json.Number:
		other, is := b.(json.Number)
		if !is {
			return false
		}
		x, failed := a.Float64()
		y, failedToo := other.Float64()
		return a == other || failed == nil && failedToo == nil && x == y
	case []any:
		other, is := b.([]any)
		return is && slices.EqualFunc(a, other, Same)
	case map[string]any:
		other, is := b.(map[string]any)
		return is && maps.EqualFunc(a, other, Same)
	}
	return a == b
}

func isText(value any) bool {
	switch v := value.(type) {
	case string:
		return true
	case map[string]any:
		key, _ := special(v)
		return key == keyBytes || key == keyRedacted
	}
	return false
}

// SameList is [Same] of arguments.
func SameList(a, b []any) bool { return slices.EqualFunc(a, b, Same) }

// Literal gives a map in one line; literal gives what is in it. What was redacted
// is named by its length.
func Literal(table map[string]any, literal func(any) string) string {
	if n, is := redacted(table); is {
		return fmt.Sprintf("‹%d bytes›", n)
	}
	if key, content := special(table); key == keyPairs {
		pairs, _ := content.([]any)
		parts := make([]string, len(pairs))
		for i := range pairs {
			parts[i] = literal(pairs[i])
		}
		return "{" + strings.Join(parts, ", ") + "}"
	} else if key != "" {
		return fmt.Sprintf("%s %s", key[1:], literal(content))
	}
	parts := make([]string, 0, len(table))
	for _, name := range slices.Sorted(maps.Keys(table)) {
		parts = append(parts, strconv.Quote(name)+": "+literal(table[name]))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}
