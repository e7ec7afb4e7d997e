package wire_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/server/wire"
)

func TestHeadRoundTrip(t *testing.T) {
	for _, h := range []wire.Head{
		{},
		{Type: wire.TypeReturn, Code: wire.StatusLuaError, Slot: 0x1234, Generation: 0x89abcdef, Arg: 0x01020304},
		{Type: 255, Code: 255, Slot: 65535, Generation: 1<<32 - 1, Arg: 1<<32 - 1},
	} {
		b := wire.AppendHead([]byte("before"), h)
		require.Equal(t, "before", string(b[:6]))
		require.Len(t, b[6:], wire.HeadSize)
		got, body, err := wire.ReadHead(append(b[6:], "body"...))
		require.NoError(t, err)
		require.Equal(t, h, got)
		require.Equal(t, "body", string(body))
	}
	require.Equal(t, []byte{6, 7, 0x34, 0x12, 0xef, 0xcd, 0xab, 0x89, 4, 3, 2, 1},
		wire.AppendHead(nil, wire.Head{Type: 6, Code: 7, Slot: 0x1234, Generation: 0x89abcdef, Arg: 0x01020304}))
}

func TestReadHeadOfTooLittle(t *testing.T) {
	for n := range wire.HeadSize {
		h, body, err := wire.ReadHead(make([]byte, n))
		require.ErrorContains(t, err, "is shorter than its head of 12")
		require.Zero(t, h)
		require.Nil(t, body)
	}
	_, body, err := wire.ReadHead(make([]byte, wire.HeadSize))
	require.NoError(t, err)
	require.Empty(t, body)
}

// The layout is spoken by programs that are not compiled together: none of
// this changes without a new Version.
func TestLayout(t *testing.T) {
	require.EqualValues(t, 4, wire.Version)
	for _, tc := range []struct {
		of     interface{}
		size   uintptr
		fields []string
		sizes  []uintptr // of each field; 8 where there is none
	}{
		{wire.Head{}, wire.HeadSize, []string{"Type", "Code", "Slot", "Generation", "Arg"}, []uintptr{1, 1, 2, 4, 4}},
		{wire.ServerCounters{}, 23 * 8, strings.Fields(`FramesIn FramesOut BytesIn BytesOut SpinsPaid SpinsUnpaid
			Sleeps Doorbells FullWaits LateFrames Events EventsDone Panics Handovers Instances StartsFailed
			Posted RoundTrips MemoHits PrefetchHits Wasted Profiles Overloads`), nil},
		{wire.WorkerCounters{}, 19 * 8, strings.Fields(`FramesIn FramesOut BytesIn BytesOut SpinsPaid SpinsUnpaid
			Sleeps Doorbells FullWaits LateFrames Events EventsDone EventTicks Calls Errors Deadlines Open TicksPerUS LogLevel`), nil},
	} {
		typ := reflect.TypeOf(tc.of)
		require.Equal(t, tc.size, typ.Size(), typ)
		var names []string
		at := uintptr(0)
		for i := range typ.NumField() {
			f := typ.Field(i)
			if f.Name == "_" {
				require.Zero(t, f.Type.Size())
				continue
			}
			require.Equal(t, at, f.Offset, "%s.%s", typ, f.Name)
			size := uintptr(8)
			if tc.sizes != nil {
				size = tc.sizes[len(names)]
			}
			require.Equal(t, size, f.Type.Size(), "%s.%s", typ, f.Name)
			at += size
			names = append(names, f.Name)
		}
		require.Equal(t, tc.fields, names, typ)
	}
}

func TestCountersAreViews(t *testing.T) {
	region := make([]byte, wire.CountersSize)
	s := wire.ServerCountersAt(region)
	s.StartsFailed = 0x0807060504030201
	require.Equal(t, []byte{1, 2, 3, 4, 5, 6, 7, 8}, region[15*8:16*8])
	require.Len(t, s.Words(), 23)
	require.EqualValues(t, 0x0807060504030201, s.Words()[15])

	clear(region)
	w := wire.WorkerCountersAt(region)
	w.TicksPerUS = 1
	require.Equal(t, []byte{0, 0, 0, 0, 0, 0, 0xf0, 0x3f}, region[17*8:18*8])
	require.Len(t, w.Words(), 19)
	require.Equal(t, 1.0, w.Fields()[17])

	require.Panics(t, func() { wire.ServerCountersAt(region[:8:8]) })
	require.Panics(t, func() { wire.WorkerCountersAt(region[:8:8]) })
}

func TestMethodsAreComplete(t *testing.T) {
	kinds := map[wire.Result]bool{
		wire.ResultNone: true, wire.ResultValue: true, wire.ResultMultimap: true,
		wire.ResultBody: true, wire.ResultCaptures: true,
		wire.ResultChecked: true, wire.ResultParsed: true,
	}
	require.Zero(t, wire.Methods[0], "0 is no method")
	ids := map[string]wire.MethodID{}
	for i, m := range wire.Methods[1:] {
		id := wire.MethodID(i + 1)
		require.Regexp(t, `^kong(\.[a-z0-9_]+){2,3}$`, m.Name, "method %d", id)
		require.True(t, kinds[m.Result], "method %s: %q", m.Name, m.Result)
		require.Zero(t, ids[m.Name], "%s has two numbers", m.Name)
		ids[m.Name] = id
		require.Equal(t, m.Name, id.String())
		require.NotZero(t, m.Phases, m.Name)
		require.Regexp(t, `^[A-Z][A-Za-z]+(\.TLS)?\.[A-Z]\w+(, [A-Z]\w+)*$`, m.Go, m.Name)
		require.Equal(t, m.Result == wire.ResultNone, m.Class == wire.ClassPosted || m.Class == wire.ClassTerminal, m.Name)
		require.True(t, m.Changes == 0 || m.Class == wire.ClassPosted || m.Class == wire.ClassChecked, m.Name)
	}
	for _, id := range []wire.MethodID{0, wire.MethodID(len(wire.Methods)), 65535} {
		require.Equal(t, "unknown method", id.String())
	}
}

func TestPhaseNames(t *testing.T) {
	require.Equal(t, []string{"", "certificate", "rewrite", "access", "response", "preread", "log"}, wire.PhaseNames[:])
}

func TestGeneratedFileIsUpToDate(t *testing.T) {
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("no go tool here: ", err)
	}
	source, err := os.ReadFile("messages.go")
	require.NoError(t, err)
	dir := t.TempDir()
	from, to := filepath.Join(dir, "messages.go"), filepath.Join(dir, "messages_gen.go")
	require.NoError(t, os.WriteFile(from, source, 0o600))
	out, err := exec.Command(goTool, "tool", "msgp", "-file", from, "-o", to, "-tests=false", "-io=false").CombinedOutput()
	require.NoError(t, err, "%s", out)
	want, err := os.ReadFile(to)
	require.NoError(t, err)
	got, err := os.ReadFile("messages_gen.go")
	require.NoError(t, err)
	require.Equal(t, string(want), string(got), "run make generate")
}

func TestStartInstanceRoundTrip(t *testing.T) {
	sent := wire.StartInstance{Plugin: "p", Key: "k", Seq: -7, Config: []byte(`{"a":1}`)}
	b, err := sent.MarshalMsg(nil)
	require.NoError(t, err)
	var got wire.StartInstance
	rest, err := got.UnmarshalMsg(append(b, 0xc0))
	require.NoError(t, err)
	require.Equal(t, sent, got)
	require.Equal(t, []byte{0xc0}, rest)
	require.LessOrEqual(t, len(b), sent.Msgsize())
	for n := range len(b) {
		_, err := new(wire.StartInstance).UnmarshalMsg(b[:n])
		require.Error(t, err, "%d bytes", n)
	}
}

func TestStartInstanceWithHostileLengths(t *testing.T) {
	const huge = "\xff\xff\xff\xff"
	for name, b := range map[string]string{
		"array of 4 Gi":         "\xdd" + huge,
		"array of 3":            "\x93\xa1p\xa1k\x00",
		"array of 5":            "\x95\xa1p\xa1k\x00\xc4\x00\x00",
		"map":                   "\x84\xa1p\xa1k\x00\xc4\x00",
		"plugin of 4 GiB":       "\x94\xdb" + huge + "p",
		"plugin of 65535 bytes": "\x94\xda\xff\xff" + "p",
		"plugin that is none":   "\x94\xc0",
		"key of 4 GiB":          "\x94\xa1p\xdb" + huge + "k",
		"number as text":        "\x94\xa1p\xa1k\xa17",
		"number beyond int64":   "\x94\xa1p\xa1k\xcf" + huge + huge,
		"config of 4 GiB":       "\x94\xa1p\xa1k\x00\xc6" + huge + "{}",
		"config as text":        "\x94\xa1p\xa1k\x00\xa2{}",
		"nothing":               "",
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := new(wire.StartInstance).UnmarshalMsg([]byte(b))
			runtime.ReadMemStats(&after)
			require.Error(t, err)
			require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20))
		})
	}
}
