package compat

import (
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"

	"github.com/Kong/go-pdk/server/kong_plugin_protocol"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// outputs gives the message that each PDK method of go-pdk's protocol answers
// with, by its name in Lua.
func outputs() map[string]protoreflect.MessageDescriptor {
	words := regexp.MustCompile("([a-z][0-9]*)([A-Z])")
	out := map[string]protoreflect.MessageDescriptor{}
	methods := kong_plugin_protocol.File_server_kong_plugin_protocol_pluginsocket_proto.Services().ByName("Kong").Methods()
	for i := range methods.Len() {
		m := methods.Get(i)
		name := "Kong." + strings.ReplaceAll(string(m.Name()), "_", ".")
		name = strings.ToLower(words.ReplaceAllString(name, "${1}_$2"))
		if explicit, _ := proto.GetExtension(m.Options(), kong_plugin_protocol.E_MethodName).(string); explicit != "" {
			name = explicit
		}
		out[name] = m.Output()
	}
	return out
}

// errRaised stands for an error in Lua: Kong hangs up, and go-pdk gives EOF.
var errRaised = errors.New("raised in Lua")

// encode makes the message that Kong 3.9.1 answers with where a method gives v.
func encode(d protoreflect.MessageDescriptor, v lua) ([]byte, error) {
	m := dynamicpb.NewMessage(d)
	var err error
	switch name := d.Name(); {
	case d.FullName() == "google.protobuf.Value":
		err = wrapValue(m, v)
	case d.FullName() == "google.protobuf.Struct":
		err = wrapStruct(m, v)
	case name == "RawBodyResult":
		if s, ok := v.(string); ok {
			m.Set(d.Fields().ByName("content"), protoreflect.ValueOfBytes([]byte(s)))
		} else {
			m.Set(d.Fields().ByName("error"), protoreflect.ValueOfString("Can't read request body"))
		}
	case d.Fields().Len() == 1 && d.Fields().Get(0).Name() == "v":
		err = set(m, d.Fields().Get(0), v)
	case v == nil:
	default:
		err = setAll(m, v)
	}
	if err != nil {
		return nil, err
	}
	return proto.Marshal(m)
}

func wrapValue(m protoreflect.Message, v lua) error {
	field := m.Descriptor().Fields().ByName
	switch v := v.(type) {
	case nil:
		m.Set(field("null_value"), protoreflect.ValueOfEnum(0))
	case bool:
		m.Set(field("bool_value"), protoreflect.ValueOfBool(v))
	case float64:
		m.Set(field("number_value"), protoreflect.ValueOfFloat64(v))
	case string:
		m.Set(field("string_value"), protoreflect.ValueOfString(v))
	case table:
		if len(v.list) == 0 || v.list[0] == nil {
			return wrapStruct(m.Mutable(field("struct_value")).Message(), v)
		}
		l := m.Mutable(field("list_value")).Message()
		values := l.Mutable(l.Descriptor().Fields().ByName("values")).List()
		for _, e := range v.list {
			if e == nil {
				break
			}
			element := values.NewElement()
			if err := wrapValue(element.Message(), e); err != nil {
				return err
			}
			values.Append(element)
		}
	}
	return nil
}

func wrapStruct(m protoreflect.Message, v lua) error {
	t, ok := v.(table)
	if !ok || len(t.list) > 0 { // a name of a field has to be a string
		return errRaised
	}
	fields := m.Mutable(m.Descriptor().Fields().ByName("fields")).Map()
	for k, e := range t.fields {
		value := fields.NewValue()
		if err := wrapValue(value.Message(), e); err != nil {
			return err
		}
		fields.Set(protoreflect.ValueOfString(k).MapKey(), value)
	}
	return nil
}

// setAll sets the fields of a message from a table's, by name.
func setAll(m protoreflect.Message, v lua) error {
	t, ok := v.(table)
	if !ok || len(t.list) > 0 {
		return errRaised
	}
	for k, e := range t.fields {
		if f := m.Descriptor().Fields().ByName(protoreflect.Name(k)); f != nil {
			if err := set(m, f, e); err != nil {
				return err
			}
		}
	}
	return nil
}

func set(m protoreflect.Message, f protoreflect.FieldDescriptor, v lua) error {
	t, isTable := v.(table)
	switch {
	case v == nil:
	case f.IsMap():
		if !isTable || len(t.list) > 0 {
			return errRaised
		}
		for k, e := range t.fields {
			value, err := scalar(f.MapValue(), e)
			if err != nil {
				return err
			}
			m.Mutable(f).Map().Set(protoreflect.ValueOfString(k).MapKey(), value)
		}
	case f.IsList():
		if !isTable {
			return errRaised
		}
		for _, e := range t.list {
			if f.Kind() == protoreflect.MessageKind {
				if err := setAll(m.Mutable(f).List().AppendMutable().Message(), e); err != nil {
					return err
				}
				continue
			}
			value, err := scalar(f, e)
			if err != nil {
				return err
			}
			m.Mutable(f).List().Append(value)
		}
	case f.Kind() == protoreflect.MessageKind:
		return setAll(m.Mutable(f).Message(), v)
	default:
		value, err := scalar(f, v)
		if err != nil {
			return err
		}
		m.Set(f, value)
	}
	return nil
}

// scalar makes a field's value of what lua-protobuf takes for its type.
func scalar(f protoreflect.FieldDescriptor, v lua) (none protoreflect.Value, err error) {
	s, isString := v.(string)
	n, isNumber := v.(float64)
	switch f.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(v != false && v != nil), nil
	case protoreflect.StringKind:
		if isString {
			return protoreflect.ValueOfString(s), nil
		}
	case protoreflect.BytesKind:
		if isString {
			return protoreflect.ValueOfBytes([]byte(s)), nil
		}
	case protoreflect.DoubleKind:
		if isNumber {
			return protoreflect.ValueOfFloat64(n), nil
		}
	case protoreflect.Int32Kind, protoreflect.Int64Kind:
		if isNumber || s == "" && isString { // no digits are 0
			if f.Kind() == protoreflect.Int32Kind {
				return protoreflect.ValueOfInt32(int32(n)), nil
			}
			return protoreflect.ValueOfInt64(int64(n)), nil
		}
	default:
		panic(fmt.Sprintf("field %s of kind %s", f.FullName(), f.Kind()))
	}
	return none, errRaised
}

// kongFor plays Kong for one call: the method that is asked for gives v. asked is
// called with its name.
func kongFor(t *testing.T, outputs map[string]protoreflect.MessageDescriptor, v lua, asked func(string)) net.Conn {
	plugin, kong := net.Pipe()
	go func() {
		defer kong.Close()
		frame := func() []byte {
			var length [4]byte
			if _, err := io.ReadFull(kong, length[:]); err != nil {
				return nil
			}
			text := make([]byte, int(length[0])|int(length[1])<<8)
			_, _ = io.ReadFull(kong, text)
			return text
		}
		method := string(frame())
		frame() // the arguments
		asked(method)
		reply, err := encode(outputs[method], v)
		if err != nil {
			return // it hangs up
		}
		_, _ = kong.Write([]byte{byte(len(reply)), byte(len(reply) >> 8), 0, 0})
		_, _ = kong.Write(reply)
	}()
	t.Cleanup(func() { require.NoError(t, plugin.Close()) })
	return plugin
}
