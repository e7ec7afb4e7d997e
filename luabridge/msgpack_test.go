package luabridge

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math"
	"math/rand"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tinylib/msgp/msgp"
)

// recode reads a hex document a line, decodes it, encodes the value again and
// writes that as a hex line.
const recode = `
local msgpack = require "kongring.msgpack"
local ffi = require "ffi"
local b, r = msgpack.new_buffer(64), msgpack.new_reader()
for line in io.lines() do
  local doc = line:gsub("..", function(h)
    return string.char(tonumber(h, 16))
  end)
  local mem = ffi.new("uint8_t[?]", #doc)
  ffi.copy(mem, doc, #doc)
  r:set(mem, #doc)
  local ok, v = r:read_value()
  assert(ok, v)
  assert(r.pos == #doc, "bytes left over")
  b:reset()
  assert(b:put_value(v))
  io.write((b:tostring():gsub(".", function(c)
    return ("%02x"):format(c:byte())
  end)), "\n")
end
`

// luajit returns a command that runs at the root of the tree, where it finds
// the modules of luabridge, and skips the test where it cannot.
func luajit(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()

	path, err := exec.LookPath("luajit")
	if err != nil {
		t.Skip("luajit is not installed")
	}

	cmd := exec.Command(path, args...)
	cmd.Dir = ".."
	cmd.Env = append(os.Environ(), "LUA_PATH=luabridge/?.lua;;")

	return cmd
}

func TestMsgpackSpec(t *testing.T) {
	if err := luajit(t, "-e", `require "MessagePack"`).Run(); err != nil {
		t.Skip("lua-messagepack is not installed")
	}

	for name, mode := range map[string]string{
		"compiled": "-jon", "interpreted": "-joff",
	} {
		t.Run(name, func(t *testing.T) {
			out, err := luajit(t, mode, "luabridge/spec/msgpack_spec.lua").
				CombinedOutput()
			require.NoError(t, err, "%s", out)
			require.Contains(t, string(out), "all passed")
			t.Logf("%s", out)
		})
	}
}

func randomBytes(rnd *rand.Rand, max int) []byte {
	b := make([]byte, rnd.Intn(max+1))
	rnd.Read(b)

	return b
}

// appendRandom appends a random value, numbers and strings in every format
// that msgp writes.
func appendRandom(b []byte, rnd *rand.Rand, depth int) []byte {
	kinds := 12
	if depth > 4 {
		kinds = 10
	}

	shift := rnd.Intn(64)

	switch rnd.Intn(kinds) {
	case 0:
		return msgp.AppendNil(b)
	case 1:
		return msgp.AppendBool(b, rnd.Intn(2) == 0)
	case 2, 3:
		return msgp.AppendInt64(b, int64(rnd.Uint64())>>shift)
	case 4:
		return msgp.AppendUint64(b, rnd.Uint64()>>shift)
	case 5:
		return msgp.AppendFloat32(b, math.Float32frombits(rnd.Uint32()))
	case 6:
		return msgp.AppendFloat64(b, math.Float64frombits(rnd.Uint64()))
	case 7:
		return msgp.AppendFloat64(b, float64(rnd.Intn(1000)))
	case 8:
		return msgp.AppendString(b, string(randomBytes(rnd, 300)))
	case 9:
		return msgp.AppendBytes(b, randomBytes(rnd, 300))
	case 10:
		n := rnd.Intn(20)
		b = msgp.AppendArrayHeader(b, uint32(n))

		for range n {
			b = appendRandom(b, rnd, depth+1)
		}

		return b
	default:
		n := rnd.Intn(20)
		b = msgp.AppendMapHeader(b, uint32(n))

		for i := range n {
			// the index keeps them apart
			key := fmt.Sprintf("%d %s", i, randomBytes(rnd, 40))
			b = appendRandom(msgp.AppendString(b, key), rnd, depth+1)
		}

		return b
	}
}

// normal gives values that Lua cannot tell apart the same form: bytes that of
// a string, a number that of an integer if it is one. Beyond 2^53 a float
// stays one.
func normal(v any) any {
	switch v := v.(type) {
	case []byte:
		return string(v)
	case float32:
		return normal(float64(v))
	case float64:
		switch {
		case math.IsNaN(v):
			return "NaN"
		case v == 0 && math.Signbit(v):
			return "-0"
		case v == math.Trunc(v) && math.Abs(v) <= 1<<53:
			return int64(v)
		}
	case uint64:
		if v <= math.MaxInt64 {
			return int64(v)
		}
	case []any:
		for i := range v {
			v[i] = normal(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = normal(v[k])
		}
	}

	return v
}

func readNormal(t *testing.T, doc []byte) any {
	t.Helper()

	v, rest, err := msgp.ReadIntfBytes(doc)
	require.NoError(t, err, "%x", doc)
	require.Empty(t, rest, "%x", doc)

	return normal(v)
}

func TestMsgpackAgainstGo(t *testing.T) {
	seed := time.Now().UnixNano()
	rnd := rand.New(rand.NewSource(seed))

	var (
		docs [][]byte
		in   strings.Builder
	)

	for range 3000 {
		docs = append(docs, appendRandom(nil, rnd, 0))
	}

	for _, v := range []any{
		[]any{}, map[string]any{}, []any{[]any{}, map[string]any{}},
		int64(math.MinInt64), int64(math.MaxInt64), uint64(math.MaxUint64),
		int64(1) << 53, int64(1)<<53 + 1, -int64(1)<<53 - 1,
		strings.Repeat("x", 1<<16), make([]byte, 1<<16), make([]any, 1<<16),
		[]any{nil, true, map[string]any{"a": nil}}, math.Copysign(0, -1),
	} {
		doc, err := msgp.AppendIntf(nil, v)
		require.NoError(t, err)
		docs = append(docs, doc)
	}

	for _, doc := range docs {
		in.WriteString(hex.EncodeToString(doc) + "\n")
	}

	cmd := luajit(t, "-e", recode)
	cmd.Stdin = strings.NewReader(in.String())

	var stderr bytes.Buffer

	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, "seed %d: %s", seed, stderr.String())

	lines := strings.Fields(string(out))
	require.Len(t, lines, len(docs))

	for i, doc := range docs {
		again, err := hex.DecodeString(lines[i])
		require.NoError(t, err)
		require.Equal(t, readNormal(t, doc), readNormal(t, again),
			"seed %d: %x came back as %x", seed, doc, again)
	}
}
