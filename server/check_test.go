package server_test

import (
	"bytes"
	"log/slog"
	"os/exec"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/server"
	"github.com/kongring/kongring/server/examples/gate"
	"github.com/kongring/kongring/server/examples/hello"
	"github.com/kongring/kongring/server/pdk"
)

// Configs with something for a check to find.
type (
	manyFaults struct {
		A func()
		B int `kong:"match=x,unknown"`
	}
	panics    struct{ handling }
	forbidden struct{}
	stays     struct{ release chan struct{} }
	misnamed  struct{ handling }
	streaming struct {
		handling
		_ struct{} `kong:"protocols=tcp"`
	}
	fromTag struct {
		Message string `json:"message" kong:"default=set"`
	}
	unfit struct {
		handling
		At time.Time `kong:"default=yesterday"`
	}
)

type (
	byValue  struct{ handling }
	slips    struct{ handling }
	onlySlip struct{}
	badTag   struct {
		handling
		A int `kong:"requried"`
	}
	badField struct {
		handling
		A chan int
	}
)

func (byValue) Log(pdk.PDK)           {}
func (*slips) Acess(*pdk.PDK)         {}
func (*slips) Responce(*pdk.PDK)      {}
func (*slips) Rewirte(*pdk.PDK)       {}
func (*slips) Logs(*pdk.PDK)          {}
func (*slips) Accept(*pdk.PDK)        {}
func (*slips) Certificat(string)      {}
func (*onlySlip) Acces(*pdk.PDK)      {}
func (*manyFaults) Access(int)        {}
func (*manyFaults) Log(*pdk.PDK)      {}
func (*panics) Response(*pdk.PDK)     { panic("no\nluck") }
func (*forbidden) Log(k *pdk.PDK)     { _ = k.Response.SetHeader("a", "b") }
func (s *stays) Access(*pdk.PDK)      { <-s.release }
func (*misnamed) PreRead(*pdk.PDK)    {}
func (*misnamed) BodyFilter(*pdk.PDK) {}
func (*misnamed) Response(*pdk.PDK)   {}
func (*misnamed) Configure()          {}
func (f *fromTag) Access(*pdk.PDK) {
	if f.Message != "set" {
		panic("no default")
	}
}

func TestCheck(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	gives := func(constructor func() interface{}) server.Option {
		return server.WithPlugin("p", constructor, "1.0", 1)
	}
	plugin := func(config interface{}) server.Option { // a copy each time
		return gives(func() interface{} {
			v := reflect.New(reflect.TypeOf(config).Elem())
			v.Elem().Set(reflect.ValueOf(config).Elem())
			return v.Interface()
		})
	}
	shared := &fromTag{}
	versioned := func(version string) server.Option {
		return server.WithPlugin("p", func() interface{} { return &fromTag{} }, version, 1)
	}
	for _, tc := range []struct {
		name string
		opts []server.Option
		want []string
	}{
		{"examples", []server.Option{
			server.WithPlugin("gate", gate.New, gate.Version, gate.Priority),
			server.WithPlugin("hello", hello.New, hello.Version, hello.Priority),
		}, nil},
		{"default of a tag", []server.Option{versioned("v1.2.3-rc4")}, nil},
		{"all at once", []server.Option{plugin(&manyFaults{}), server.WithRingCapacity(3)}, []string{
			"plugin p: method Access has the type func(*server_test.manyFaults, int), want func(*pdk.PDK)",
			"config of plugin p: field A: type func() has no place in a Kong schema",
			"config of plugin p: field B: match: not for a field of type integer, only for string",
			"ring capacity 3: want a power of two",
		}},
		{"twice", []server.Option{versioned("1"), versioned("1")}, []string{"plugin p is given twice"}},
		{"constructor", []server.Option{server.WithPlugin("p", func() interface{} { panic("oh") }, "1", 1)}, []string{"panicked: oh"}},
		{"panic", []server.Option{plugin(&panics{})}, []string{"plugin p: phase response: panicked: no luck"}},
		{"call in a phase that forbids it", []server.Option{plugin(&forbidden{})},
			[]string{"plugin p: phase log: kong.response.set_header: cannot be called in the phase log"}},
		{"no end", []server.Option{plugin(&stays{release})}, []string{"plugin p: phase access: still runs after 10ms"}},
		{"methods", []server.Option{plugin(&misnamed{})}, []string{
			"plugin p: method BodyFilter is no handler: the phase body_filter cannot be served from outside nginx, and Kong refuses it beside response",
			"plugin p: method PreRead is no handler: want Preread",
		}},
		{"signature by value", []server.Option{plugin(&byValue{})}, []string{"plugin p: method Log has the type func(*server_test.byValue, pdk.PDK), want func(*pdk.PDK)"}},
		{"slips", []server.Option{plugin(&slips{})}, []string{
			"plugin p: method Acess is no handler: want Access",
			"plugin p: method Logs is no handler: want Log",
			"plugin p: method Responce is no handler: want Response",
			"plugin p: method Rewirte is no handler: want Rewrite",
		}},
		{"nothing but a slip", []server.Option{plugin(&onlySlip{})}, []string{
			"plugin p: method Acces is no handler: want Access",
			"plugin p: *server_test.onlySlip has no handler: want at least one of the methods",
		}},
		{"tag", []server.Option{plugin(&badTag{})}, []string{"config of plugin p: field A: requried: unknown attribute"}},
		{"field", []server.Option{plugin(&badField{})}, []string{"config of plugin p: field A: type chan int has no place in a Kong schema"}},
		{"nil", []server.Option{gives(func() interface{} { return nil })}, []string{"plugin p: the constructor gives <nil>, want a pointer to a struct"}},
		{"nil pointer", []server.Option{gives(func() interface{} { return (*byValue)(nil) })}, []string{"plugin p: the constructor gives a nil *server_test.byValue, want"}},
		{"no pointer", []server.Option{gives(func() interface{} { return fromTag{} })}, []string{"plugin p: the constructor gives server_test.fromTag, want"}},
		{"no struct", []server.Option{gives(func() interface{} { return new(int) })}, []string{"plugin p: the constructor gives *int, want"}},
		{"one config for all", []server.Option{gives(func() interface{} { return shared })}, []string{"plugin p: the constructor gives the same config each time"}},
		{"protocols", []server.Option{plugin(&streaming{})}, []string{"plugin p: phase access never runs with the protocols tcp"}},
		{"default that does not fit", []server.Option{plugin(&unfit{})}, []string{"plugin p: phase access: the default config does not fit the struct"}},
		{"version without a number", []server.Option{versioned("beta")}, []string{`plugin p: version "beta": Kong wants up to three numbers`}},
		{"version of four numbers", []server.Option{versioned("1.2.3.4")}, []string{`plugin p: version "1.2.3.4"`}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			patience := patience
			if tc.name == "no end" {
				patience = 10 * time.Millisecond
			}
			var b bytes.Buffer
			require.Equal(t, tc.want == nil, server.CheckFor(&b, patience, tc.opts...), b.String())
			lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
			if tc.want == nil {
				require.Empty(t, b.String())
				return
			}
			require.Len(t, lines, len(tc.want), b.String())
			for i, text := range tc.want {
				require.Contains(t, lines[i], text)
			}
		})
	}
}

func playFaulty(string) error {
	return server.StartServer(func() interface{} { return &manyFaults{} }, "1.2.3", 77)
}

func TestCheckFlag(t *testing.T) {
	out, err := command("plugin", "", "-check").CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Empty(t, string(out))
	out, err = command("faulty", "", "-check").Output()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, 1, exit.ExitCode())
	require.Equal(t, 3, strings.Count(string(out), "\n"), "%s", out)
}

// What is wrong with a schema is told before anything is printed, written or
// served.
func TestFaultySchemaDoesNotStart(t *testing.T) {
	for _, args := range [][]string{{"-dump"}, {"-install", t.TempDir()}, {"-socket", socketPath(t)}} {
		cmd := command("faulty", "", args...)
		var text bytes.Buffer
		cmd.Stderr = &text
		out, err := cmd.Output()
		require.Error(t, err, args)
		require.Empty(t, string(out))
		require.Regexp(t, `config of plugin \S+: field B: match: not for a field of type integer`, text.String())
	}
}

func TestLogLevel(t *testing.T) {
	for level, want := range map[string]string{"debug": "diwe", "info": "iwe", "warn": "we", "ERROR": "e"} {
		var b bytes.Buffer
		l := slog.New(slog.NewTextHandler(&b, nil))
		log := server.LoggerOf(t, server.WithLogger(l), server.WithLogLevel(level)).With("a", 1).WithGroup("g")
		log.Debug("d")
		log.Info("i")
		log.Warn("w")
		log.Error("e")
		got := ""
		for line := range strings.Lines(b.String()) {
			_, message, _ := strings.Cut(line, "msg=")
			got += message[:1]
			require.Contains(t, line, "a=1")
		}
		require.Equal(t, want, got, level)
	}
	_, err := server.New(server.WithLogLevel("loud"))
	require.ErrorContains(t, err, `log level "loud": want debug, info, warn or error`)
}
