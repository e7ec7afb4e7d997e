package server

import (
	"errors"
	"fmt"
	"io"

	"github.com/tinylib/msgp/msgp"
)

// stockFirst is the first byte of a MessagePack-RPC request, an array of four.
// A hello starts with another one, that of shm.Magic.
const stockFirst = 0x94

// Kinds of MessagePack-RPC messages.
const (
	stockCall         = 0 // [0, id, method, [argument]]
	stockResponse     = 1 // [1, id, error, result]
	stockNotification = 2 // [2, label, value]
)

// stockSteps are the methods that answer a PDK call. They differ in the type of
// their data, which the call that was asked tells too.
var stockSteps = map[string]bool{
	"plugin.Step": true, "plugin.StepError": true, "plugin.StepMultiMap": true,
	"plugin.StepCredential": true, "plugin.StepRoute": true, "plugin.StepService": true,
	"plugin.StepConsumer": true, "plugin.StepMemoryStats": true,
}

// stockRequest is one request. Its values are messages of their own.
type stockRequest struct {
	id      uint64
	method  string
	arg     []byte            // of a method that takes no map
	fields  map[string][]byte // of one that does
	tooLong bool              // some values are missing

	elsewhere bool // another server has taken over: see stock.succession
}

// uintIn gives the unsigned integer in a message.
func uintIn(b []byte) (uint64, error) {
	n, _, err := msgp.ReadUint64Bytes(b)
	return n, err
}

// bytesIn gives the string in a message. Old MessagePack has one type for strings
// and bytes.
func bytesIn(b []byte) ([]byte, error) {
	if msgp.NextType(b) == msgp.BinType {
		s, _, err := msgp.ReadBytesZC(b)
		return s, err
	}
	s, _, err := msgp.ReadStringZC(b)
	return s, err
}

// Bounds of what a request may look like.
const (
	maxStockFields = 16
	maxStockName   = 64 // bytes of a method's or a field's name
	maxStockDepth  = 100
)

// errStock is wrapped when bytes are no request. It ends the connection: where
// the next one starts is not known.
var errStock = errors.New("no request of the plugin server protocol")

// stockReader takes requests off a connection. No length in them is believed:
// memory grows with the bytes that came, up to the limit.
type stockReader struct {
	in    *msgp.Reader
	limit int
}

func newStockReader(conn io.Reader, limit int) *stockReader {
	in := msgp.NewReader(conn)
	in.SetMaxRecursionDepth(maxStockDepth)
	return &stockReader{in: in, limit: limit}
}

// next reads a request to its end, also one that is too long.
func (r *stockReader) next() (*stockRequest, error) {
	request := &stockRequest{}
	n, err := r.in.ReadArrayHeader()
	if err != nil {
		return nil, stockError("", err)
	}
	if n != 4 {
		return nil, fmt.Errorf("%w: array of %d", errStock, n)
	}
	kind, err := r.number()
	if err != nil || kind != stockCall {
		return nil, stockError("kind", err)
	}
	if request.id, err = r.number(); err != nil {
		return nil, stockError("id", err)
	}
	if request.method, err = r.name(); err != nil {
		return nil, stockError("method", err)
	}
	n, err = r.in.ReadArrayHeader()
	if err != nil || n > 1 {
		return nil, stockError("arguments", err)
	}
	if n == 1 {
		err = r.argument(request)
	}
	return request, stockError("argument", err)
}

// stockError gives the error of a part, io.EOF where the connection ended
// between requests. Without err the part has the wrong value.
func stockError(part string, err error) error {
	switch {
	case part == "argument" && err == nil, part == "" && errors.Is(err, io.EOF):
		return err
	case err == nil:
		err = errors.New("unexpected value")
	}
	return fmt.Errorf("%w: %s: %w", errStock, part, err)
}

func (r *stockReader) argument(request *stockRequest) error {
	left := r.limit
	kind, err := r.in.NextType()
	if err != nil {
		return err
	}
	if kind != msgp.MapType {
		request.arg, request.tooLong, err = r.value(left)
		return err
	}
	n, err := r.in.ReadMapHeader()
	if err != nil || n > maxStockFields {
		return errors.Join(err, fmt.Errorf("%d fields", n))
	}
	request.fields = map[string][]byte{}
	for ; n > 0; n-- {
		name, err := r.name()
		if err != nil {
			return err
		}
		value, tooLong, err := r.value(left)
		if err != nil {
			return err
		}
		// The number of the event may come behind data that is too long.
		request.fields[name], left = value, left-len(value)
		request.tooLong = request.tooLong || tooLong
	}
	return nil
}

// value reads a value, nil if it has more than limit bytes.
func (r *stockReader) value(limit int) (b []byte, tooLong bool, err error) {
	w := limited{left: limit}
	_, err = r.in.CopyNext(&w)
	return w.b, w.left < 0, err
}

// name reads a short string.
func (r *stockReader) name() (string, error) {
	b, _, err := r.value(maxStockName)
	if err != nil {
		return "", err
	}
	s, err := bytesIn(b)
	return string(s), err
}

func (r *stockReader) number() (uint64, error) {
	b, _, err := r.value(maxStockName)
	if err != nil {
		return 0, err
	}
	return uintIn(b)
}

// limited keeps what is written to it unless it gets too long.
type limited struct {
	b    []byte
	left int // negative when it was too long
}

func (w *limited) Write(b []byte) (int, error) {
	switch {
	case w.left < 0:
	case len(b) > w.left:
		w.b, w.left = nil, -1
	default:
		w.b, w.left = append(w.b, b...), w.left-len(b)
	}
	return len(b), nil
}

// appendStockResponse appends the answer to a request.
func appendStockResponse(out []byte, id uint64, result []byte, err error) []byte {
	out = msgp.AppendArrayHeader(out, 4)
	out = msgp.AppendUint64(msgp.AppendInt(out, stockResponse), id)
	if err != nil {
		message := err.Error()
		return msgp.AppendNil(msgp.AppendString(out, message[:min(len(message), maxText)]))
	}
	return append(msgp.AppendNil(out), result...)
}
