package server

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/tinylib/msgp/msgp"

	"github.com/kongring/kongring/server/wire"
)

// stockResult turns what Kong sent for a PDK call into what the PDK decodes.
// What Lua's tables leave open is settled here: an empty one comes as an array,
// one with the indices 0 to n as a map. data is well-formed.
func stockResult(id wire.MethodID, data []byte) ([]byte, error) {
	var out []byte
	var err error
	switch kind := wire.Methods[id].Result; {
	case kind == wire.ResultMultimap:
		out, err = stockMultimap(data)
	case kind == wire.ResultBody:
		out, err = stockBody(data)
	case kind == wire.ResultCaptures:
		out, err = stockCaptures(data)
	case kind == wire.ResultParsed:
		out, err = stockParsed(data)
	case id == wire.RequestGetQueryArg && msgp.NextType(data) == msgp.BoolType:
		out = msgp.AppendString(nil, "") // an argument without a value
	case wire.Methods[id].Class == wire.ClassChecked && msgp.IsNil(data):
		err = errNotSaid
	case isEntity(id) && emptyArray(data):
		out = msgp.AppendNil(nil)
	default:
		return data, nil
	}
	if err != nil {
		return nil, fmt.Errorf("result of %s: %w", id, err)
	}
	return out, nil
}

// errNotSaid stands for the error that a Lua method gave behind a nil: Kong
// passes on the nil alone. Where nil is no failure by itself, it stays a nil.
var errNotSaid = errors.New("it failed, and Kong does not say why")

// isEntity tells whether a method gives a table with fields, or none.
func isEntity(id wire.MethodID) bool {
	switch id {
	case wire.ClientGetConsumer, wire.ClientGetCredential, wire.ClientLoadConsumer,
		wire.RouterGetRoute, wire.RouterGetService, wire.NodeGetMemoryStats, wire.VaultParseReference:
		return true
	}
	return false
}

// stockParsed makes the pair of a parsed body and its MIME type, which Kong
// does not pass on.
func stockParsed(data []byte) ([]byte, error) {
	if msgp.IsNil(data) {
		return nil, errNotSaid
	}
	return msgp.AppendNil(append(msgp.AppendArrayHeader(nil, 2), data...)), nil
}

func emptyArray(b []byte) bool {
	if msgp.NextType(b) != msgp.ArrayType {
		return false
	}
	n, _, err := msgp.ReadArrayHeaderBytes(b)
	return err == nil && n == 0
}

// stockMap calls f with each key, as text, and what follows it; f gives what is
// behind the value. It gives the number of pairs. Nil and the empty array are
// maps too.
func stockMap(b []byte, f func(key string, b []byte) ([]byte, error)) (uint32, []byte, error) {
	if msgp.IsNil(b) || emptyArray(b) {
		rest, err := msgp.Skip(b)
		return 0, rest, err
	}
	n, b, err := msgp.ReadMapHeaderBytes(b)
	for i := uint32(0); i < n && err == nil; i++ {
		var key string
		if key, b, err = stockText(b); err == nil {
			b, err = f(key, b)
		}
	}
	return n, b, err
}

// stockText takes a string off b, or the text of a number; other values give "",
// like one that has no text.
func stockText(b []byte) (string, []byte, error) {
	rest, err := msgp.Skip(b)
	if err != nil {
		return "", b, err
	}
	switch msgp.NextType(b) {
	case msgp.StrType, msgp.BinType:
		s, err := bytesIn(b)
		return string(s), rest, err
	case msgp.IntType, msgp.UintType:
		n, _, err := msgp.ReadInt64Bytes(b)
		return strconv.FormatInt(n, 10), rest, err
	case msgp.Float64Type:
		f, _, err := msgp.ReadFloat64Bytes(b)
		return strconv.FormatFloat(f, 'g', 14, 64), rest, err
	}
	return "", rest, nil
}

// stockMultimap makes every value a list of strings.
func stockMultimap(data []byte) ([]byte, error) {
	var pairs []byte
	n, _, err := stockMap(data, func(key string, b []byte) ([]byte, error) {
		pairs = msgp.AppendString(pairs, key)
		switch msgp.NextType(b) {
		case msgp.ArrayType:
			return stockList(&pairs, b)
		case msgp.BoolType, msgp.NilType: // an argument without a value
			pairs = msgp.AppendArrayHeader(pairs, 0)
			return msgp.Skip(b)
		}
		s, b, err := stockText(b)
		pairs = msgp.AppendString(msgp.AppendArrayHeader(pairs, 1), s)
		return b, err
	})
	return append(msgp.AppendMapHeader(nil, n), pairs...), err
}

// stockList takes an array off b and appends it to out as a list of strings.
func stockList(out *[]byte, b []byte) ([]byte, error) {
	n, b, err := msgp.ReadArrayHeaderBytes(b)
	*out = msgp.AppendArrayHeader(*out, n)
	for i := uint32(0); i < n && err == nil; i++ {
		var s string
		s, b, err = stockText(b)
		*out = msgp.AppendString(*out, s)
	}
	return b, err
}

// Kinds of body, as package bridge reads them.
const (
	stockBodyContent = 0
	stockBodyError   = 2
)

func stockBody(data []byte) ([]byte, error) {
	out := msgp.AppendArrayHeader(nil, 2)
	if msgp.IsNil(data) {
		return msgp.AppendString(msgp.AppendInt(out, stockBodyError), "no body"), nil
	}
	body, err := bytesIn(data)
	return msgp.AppendBytes(msgp.AppendInt(out, stockBodyContent), body), err
}

// stockCaptures makes the pair of unnamed captures, from group 1 on, and named
// ones. Group 0, the whole match, makes Kong's list a map.
func stockCaptures(data []byte) ([]byte, error) {
	if msgp.IsNil(data) {
		return data, nil
	}
	list, named := msgp.AppendArrayHeader(nil, 0), msgp.AppendMapHeader(nil, 0)
	_, _, err := stockMap(data, func(key string, b []byte) ([]byte, error) {
		switch {
		case key == "unnamed" && msgp.NextType(b) == msgp.ArrayType:
			list = list[:0]
			return stockList(&list, b)
		case key == "unnamed":
			groups := map[string]string{}
			_, b, err := stockMap(b, func(key string, b []byte) (rest []byte, err error) {
				groups[key], rest, err = stockText(b)
				return rest, err
			})
			var texts []byte
			count := uint32(0)
			for {
				s, found := groups[strconv.Itoa(int(count)+1)]
				if !found {
					break
				}
				texts, count = msgp.AppendString(texts, s), count+1
			}
			list = append(msgp.AppendArrayHeader(nil, count), texts...)
			return b, err
		case key == "named":
			var pairs []byte
			n, b, err := stockMap(b, func(key string, b []byte) ([]byte, error) {
				s, b, err := stockText(b)
				pairs = msgp.AppendString(msgp.AppendString(pairs, key), s)
				return b, err
			})
			named = append(msgp.AppendMapHeader(nil, n), pairs...)
			return b, err
		}
		return msgp.Skip(b)
	})
	return append(append(msgp.AppendArrayHeader(nil, 2), list...), named...), err
}
