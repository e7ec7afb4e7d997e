package main

import (
	"fmt"
	"reflect"
	"strings"
	"unicode"

	"github.com/kongring/kongring/ring"
	"github.com/kongring/kongring/server/wire"
	"github.com/kongring/kongring/shm"
)

// helperABI is the version of the functions of helper/kongring.c. The Lua
// loader refuses a library that answers with another one.
const helperABI = 1

// prefix starts the name of every type in C and Lua.
const prefix = "kongring_"

// structs are the types that another language reads, in an order in which
// each comes before those that contain it.
var structs = []reflect.Type{
	reflect.TypeFor[ring.Control](),
	reflect.TypeFor[shm.Region](),
	reflect.TypeFor[shm.Header](),
	reflect.TypeFor[shm.Hello](),
	reflect.TypeFor[shm.Welcome](),
	reflect.TypeFor[wire.Head](),
	reflect.TypeFor[wire.ServerCounters](),
	reflect.TypeFor[wire.WorkerCounters](),
}

// constant is a number that another language uses. Go constants cannot be
// listed by reflection; a test compares these names with the sources.
type constant struct {
	name  string // in Go; an alias follows a space
	value uint64
}

var ringConstants = []constant{
	{"Committed", ring.Committed},
	{"Pad", ring.Pad},
	{"More", ring.More},
	{"LengthMask", ring.LengthMask},
	{"Alignment", ring.Alignment},
	{"WordSize", ring.WordSize},
	{"ControlSize", ring.ControlSize},
	{"MinCapacity", ring.MinCapacity},
	{"MaxCapacity", ring.MaxCapacity},
	{"Start", ring.Start},
}

var shmConstants = []constant{
	{"Version", shm.Version},
	{"Magic", shm.Magic},
	{"MaxRegions", shm.MaxRegions},
	{"HeaderSize", shm.HeaderSize},
	{"RegionAlignment", shm.RegionAlignment},
	{"HelloAttach", shm.HelloAttach},
	{"HelloDoorbell", shm.HelloDoorbell},
	{"HelloInspect", shm.HelloInspect},
	{"HelloAttachSocket", shm.HelloAttachSocket},
	{"HelloTrace", shm.HelloTrace},
	{"HelloWatch", shm.HelloWatch},
	{"CPUUnknown", shm.CPUUnknown},
	{"WelcomeOK", shm.WelcomeOK},
	{"WelcomeVersion", shm.WelcomeVersion},
	{"WelcomeDenied", shm.WelcomeDenied},
	{"WelcomeBad", shm.WelcomeBad},
	{"WelcomeExhausted", shm.WelcomeExhausted},
	{"WelcomeNoMemory", shm.WelcomeNoMemory},
	{"HelloSize", shm.HelloSize},
	{"WelcomeSize", shm.WelcomeSize},
	{"LeaveByte", shm.LeaveByte},
}

var wireConstants = []constant{
	{"Version App", wire.Version},
	{"RegionToServer", wire.RegionToServer},
	{"RegionToWorker", wire.RegionToWorker},
	{"RegionServerCounters", wire.RegionServerCounters},
	{"RegionWorkerCounters", wire.RegionWorkerCounters},
	{"RegionCount", wire.RegionCount},
	{"MaxMessage", wire.MaxMessage},
	{"HeadSize", wire.HeadSize},
	{"MaxSlots", wire.MaxSlots},
	{"TypeStart", wire.TypeStart},
	{"TypeStarted", wire.TypeStarted},
	{"TypeClose", wire.TypeClose},
	{"TypeEvent", wire.TypeEvent},
	{"TypeCall", wire.TypeCall},
	{"TypeReturn", wire.TypeReturn},
	{"TypeExit", wire.TypeExit},
	{"TypeDone", wire.TypeDone},
	{"TypeCancel", wire.TypeCancel},
	{"TypeProfile", wire.TypeProfile},
	{"TypeCounters", wire.TypeCounters},
	{"TypeDismiss", wire.TypeDismiss},
	{"ArgMethod", wire.ArgMethod},
	{"ArgWrites", wire.ArgWrites},
	{"NoValue", wire.NoValue},
	{"MaxPrefetch", wire.MaxPrefetch},
	{"MaxPrefetchBytes", wire.MaxPrefetchBytes},
	{"StatusOK", wire.StatusOK},
	{"StatusPanic", wire.StatusPanic},
	{"StatusNoInstance", wire.StatusNoInstance},
	{"StatusNoPhase", wire.StatusNoPhase},
	{"StatusNoPlugin", wire.StatusNoPlugin},
	{"StatusBadConfig", wire.StatusBadConfig},
	{"StatusDeadline", wire.StatusDeadline},
	{"StatusLuaError", wire.StatusLuaError},
	{"StatusClientGone", wire.StatusClientGone},
	{"StatusShutdown", wire.StatusShutdown},
	{"StatusUnencodable", wire.StatusUnencodable},
	{"StatusFailed", wire.StatusFailed},
	{"StatusBusy", wire.StatusBusy},
	{"PhaseCertificate", wire.PhaseCertificate},
	{"PhaseRewrite", wire.PhaseRewrite},
	{"PhaseAccess", wire.PhaseAccess},
	{"PhaseResponse", wire.PhaseResponse},
	{"PhasePreread", wire.PhasePreread},
	{"PhaseLog", wire.PhaseLog},
	{"CountersSize", wire.CountersSize},
}

// constants are the numbers by section.
var constants = []struct {
	title string
	list  []constant
}{
	{"Helper", []constant{{"HelperABI", helperABI}}},
	{"Ring", ringConstants},
	{"Segment, hello and welcome", shmConstants},
	{"Messages", wireConstants},
}

// outName is the name of a constant in the other languages, upper case.
func (c constant) outName() string {
	name := c.name
	if _, alias, ok := strings.Cut(name, " "); ok {
		name = alias
	}
	return strings.ToUpper(snake(name))
}

// literal is the number as both languages write it.
func (c constant) literal() string {
	if c.value >= 1<<16 {
		return fmt.Sprintf("%#x", c.value)
	}
	return fmt.Sprint(c.value)
}

// field is a named field of a struct; filling has no name.
type field struct {
	name, ctype, array string
	offset             uintptr
}

// fields are the fields of a struct in memory order, filling too.
func fields(t reflect.Type) []field {
	var list []field
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Type.Size() == 0 { // structs.HostLayout
			continue
		}
		out := field{offset: f.Offset}
		if f.Name != "_" {
			out.name = snake(f.Name)
		}
		elem := f.Type
		if elem.Kind() == reflect.Array {
			out.array = fmt.Sprintf("[%d]", elem.Len())
			elem = elem.Elem()
		}
		out.ctype = ctype(elem)
		list = append(list, out)
	}
	return list
}

// ctype is the C type with the size and alignment of t.
func ctype(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Uint8:
		return "uint8_t"
	case reflect.Uint16:
		return "uint16_t"
	case reflect.Uint32:
		return "uint32_t"
	case reflect.Uint64:
		return "uint64_t"
	case reflect.Float64:
		return "double"
	case reflect.Struct:
		if t.PkgPath() == "sync/atomic" && t.Name() == "Uint32" {
			return "uint32_t"
		}
		return typeName(t)
	}
	panic("layoutgen: no C type for " + t.String())
}

func typeName(t reflect.Type) string { return prefix + snake(t.Name()) }

// snake turns CreatorPID into creator_pid and CPUUnknown into cpu_unknown.
func snake(name string) string {
	var b strings.Builder
	runes := []rune(name)
	for i, r := range runes {
		if i > 0 && unicode.IsUpper(r) {
			startsWord := i+1 < len(runes) && unicode.IsLower(runes[i+1])
			if !unicode.IsUpper(runes[i-1]) || startsWord {
				b.WriteByte('_')
			}
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// declaration is the struct as C and ffi.cdef write it.
func declaration(t reflect.Type) string {
	var b strings.Builder
	name := typeName(t)
	fmt.Fprintf(&b, "typedef struct %s {\n", name)
	for i, f := range fields(t) {
		if f.name == "" {
			f.name = fmt.Sprintf("filling%d", i)
		}
		fmt.Fprintf(&b, "  %-8s %s%s;\n", f.ctype, f.name, f.array)
	}
	fmt.Fprintf(&b, "} %s;\n", name)
	return b.String()
}
