package tracecontext_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/server/pdk"
	"github.com/kongring/kongring/server/pdk/test"
	"github.com/kongring/kongring/server/pdk/tracecontext"
)

const (
	trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	span  = "00f067aa0ba902b7"
	good  = "00-" + trace + "-" + span + "-01"
)

func TestParent(t *testing.T) {
	c, err := tracecontext.Parse(good, "")
	require.NoError(t, err)
	require.Equal(t, good, c.Parent())
	require.True(t, c.Sampled())
	require.False(t, c.IsZero())
	require.Equal(t, byte(0x4b), c.TraceID[0])
	require.Equal(t, byte(0xb7), c.SpanID[7])

	c, err = tracecontext.Parse("00-"+trace+"-"+span+"-fe", "")
	require.NoError(t, err)
	require.False(t, c.Sampled())
	require.Equal(t, "00-"+trace+"-0102030405060708-fe", c.Child([8]byte{1, 2, 3, 4, 5, 6, 7, 8}).Parent())

	// A later version is read as far as this one knows it.
	for _, later := range []string{"cc-" + good[3:], "01-" + good[3:] + "-what-the-future-will-be-like", "01-" + good[3:] + "-"} {
		c, err = tracecontext.Parse(later, "")
		require.NoError(t, err, later)
		require.Equal(t, good, c.Parent())
	}
}

func TestParentThatIsNone(t *testing.T) {
	for name, text := range map[string]string{
		"short":                good[:54],
		"long":                 good + "-",
		"longer":               good + "0",
		"version ff":           "ff" + good[2:],
		"no version":           "0x" + good[2:],
		"upper case version":   "0A" + good[2:],
		"upper case":           strings.ToUpper(good),
		"upper case trace":     "00-" + strings.ToUpper(trace) + "-" + span + "-01",
		"no trace":             "00-" + strings.Repeat("0", 32) + "-" + span + "-01",
		"no span":              "00-" + trace + "-" + strings.Repeat("0", 16) + "-01",
		"odd span":             "00-" + trace + "-" + "g0f067aa0ba902b7" + "-01",
		"odd flags":            good[:53] + "0.",
		"upper case flags":     good[:53] + "0A",
		"other dashes":         strings.ReplaceAll(good, "-", "_"),
		"spaces":               " " + good[:54],
		"later version, glued": "01-" + good[3:] + "x",
		"two":                  good + "," + good,
	} {
		c, err := tracecontext.Parse(text, "")
		require.ErrorIs(t, err, tracecontext.ErrInvalid, name)
		require.True(t, c.IsZero(), name)
	}
	_, err := tracecontext.Parse("", "a=b")
	require.ErrorIs(t, err, tracecontext.ErrNone)
}

func TestState(t *testing.T) {
	c, err := tracecontext.Parse(good, "rojo=00f067aa0ba902b7 , congo=t61rcWkgMzE,,\t1a-_*/@b=x y")
	require.NoError(t, err)
	require.Equal(t, tracecontext.State{{"rojo", "00f067aa0ba902b7"}, {"congo", "t61rcWkgMzE"}, {"1a-_*/@b", "x y"}}, c.State)
	require.Equal(t, "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE,1a-_*/@b=x y", c.State.String())
	value, found := c.State.Get("congo")
	require.True(t, found)
	require.Equal(t, "t61rcWkgMzE", value)
	next, err := c.State.With("congo", "new")
	require.NoError(t, err)
	require.Equal(t, "congo=new,rojo=00f067aa0ba902b7,1a-_*/@b=x y", next.String())
	_, err = c.State.With("Congo", "new")
	require.ErrorContains(t, err, `trace state: key "Congo"`)

	var full tracecontext.State
	for i := range 40 {
		full, err = full.With("k"+strings.Repeat("k", i), "v")
		require.NoError(t, err)
	}
	require.Len(t, full, 32)
	_, err = tracecontext.ParseState(full.String())
	require.NoError(t, err)
	_, err = tracecontext.ParseState(full.String() + ",one=more")
	require.ErrorContains(t, err, "more than 32 entries")
}

func TestStateThatIsNone(t *testing.T) {
	for _, text := range []string{
		"a", "a=", "=b", "A=b", "1=b", "a=b,a=c", "a=b=c", "a=\x7f", "a=é", "a b=c", "@b=c", "a@=c", "a@1=c", "a@b@c=d", "é=b",
		strings.Repeat("a", 257) + "=b", "a=" + strings.Repeat("b", 257), strings.Repeat("a", 242) + "@b=c", "a@" + strings.Repeat("b", 15) + "=c",
	} {
		_, err := tracecontext.ParseState(text)
		require.Error(t, err, text)
		c, err := tracecontext.Parse(good, text)
		require.NoError(t, err, "the trace goes on without the state")
		require.Empty(t, c.State)
	}
	for _, text := range []string{strings.Repeat("a", 256) + "=b", "a=" + strings.Repeat("b", 256), strings.Repeat("1", 241) + "@b=c", ""} {
		_, err := tracecontext.ParseState(text)
		require.NoError(t, err, text)
	}
}

// asker asks for the context of the request and passes it on.
type asker struct {
	got tracecontext.Context
	err error
}

func (a *asker) Access(kong *pdk.PDK) {
	if a.got, a.err = tracecontext.Of(kong); a.err == nil {
		a.err = a.got.Child([8]byte{7: 9}).Pass(kong)
	}
}

func TestOfARequest(t *testing.T) {
	run := func(headers map[string][]string) (*asker, *test.TestEnv) {
		env, err := test.New(t, test.Request{Method: "GET", Url: "http://example.com/", Headers: headers})
		require.NoError(t, err)
		a := new(asker)
		env.DoAccess(a)
		return a, env
	}
	a, env := run(map[string][]string{"traceparent": {good}, "tracestate": {"a=b"}})
	require.NoError(t, a.err)
	require.Equal(t, good, a.got.Parent())
	require.Equal(t, "00-"+trace+"-0000000000000009-01", env.ServiceReq.Headers.Get("traceparent"))
	require.Equal(t, "a=b", env.ServiceReq.Headers.Get("tracestate"))

	a, env = run(map[string][]string{"traceparent": {good}, "tracestate": {"A"}})
	require.NoError(t, a.err)
	require.Empty(t, env.ServiceReq.Headers.Get("tracestate"), "one that makes no sense goes no further")

	a, _ = run(map[string][]string{"traceparent": {"x"}})
	require.ErrorIs(t, a.err, tracecontext.ErrInvalid)
	a, _ = run(nil)
	require.ErrorIs(t, a.err, tracecontext.ErrNone)
}

// FuzzParse: what is taken is written as it came, and taken again.
func FuzzParse(f *testing.F) {
	f.Add(good, "rojo=1,congo=2")
	f.Add("01-"+good[3:]+"-x", "a@b=c")
	f.Add(good[:54], "a=b=c")
	f.Fuzz(func(t *testing.T, parent, state string) {
		s, err := tracecontext.ParseState(state)
		if err == nil {
			again, err := tracecontext.ParseState(s.String())
			require.NoError(t, err)
			require.Equal(t, s.String(), again.String())
			require.LessOrEqual(t, len(s), 32)
		}
		c, err := tracecontext.Parse(parent, state)
		if err != nil {
			require.True(t, c.IsZero())
			return
		}
		again, err := tracecontext.Parse(c.Parent(), c.State.String())
		require.NoError(t, err)
		require.Equal(t, c.Parent(), again.Parent())
		if strings.HasPrefix(parent, "00") {
			require.Equal(t, parent, c.Parent())
		}
	})
}
