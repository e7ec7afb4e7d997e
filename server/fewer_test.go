package server_test

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tinylib/msgp/msgp"

	"github.com/kongring/kongring/server"
	"github.com/kongring/kongring/server/pdk"
	"github.com/kongring/kongring/server/pdk/bridge"
	"github.com/kongring/kongring/server/wire"
)

// The tests of fewer round trips: posted writes, the memo, learned prefetch.

// write is a posted write as it stands in a message.
type write struct {
	method string
	args   []interface{}
}

// writes takes the posted writes off a message and gives what is behind them.
func writes(t *testing.T, head wire.Head, body []byte) ([]write, []byte) {
	t.Helper()
	var out []write
	for range head.Arg >> wire.ArgWrites {
		id := wire.MethodID(binary.LittleEndian.Uint16(body))
		args, rest, err := msgp.ReadIntfBytes(body[2:])
		require.NoError(t, err)
		out = append(out, write{id.String(), args.([]interface{})})
		body = rest
	}
	return out, body
}

func TestWritesRideWithTheNextMessage(t *testing.T) {
	_, socket := plain(t, withScript(func(_ *scripted, kong *pdk.PDK) {
		must(kong.Response.SetHeader("a", "1"))
		must(kong.Log.Err("line"))
		_, err := kong.Request.GetPath()
		must(err)
		must(kong.Response.SetStatus(201))
	}))
	w := attach(t, socket)
	head := w.event(0, w.instance("scripted", `{}`))

	call, body := w.expect(wire.TypeCall, head)
	posted, args := writes(t, call, body)
	require.Equal(t, []write{
		{"kong.response.set_header", []interface{}{"a", "1"}}, {"kong.log.err", []interface{}{"line"}},
	}, posted)
	require.Equal(t, wire.RequestGetPath, wire.MethodID(call.Arg&wire.ArgMethod))
	require.Equal(t, []byte{0xdc, 0, 0}, args)
	w.answer(head, msgp.AppendString(nil, "/"))

	done, body := w.expect(wire.TypeDone, head)
	posted, rest := writes(t, done, body)
	require.Equal(t, []write{{"kong.response.set_status", []interface{}{int64(201)}}}, posted)
	require.Empty(t, rest)
}

func TestManyWritesAreSentEarly(t *testing.T) {
	const n = 5000
	_, socket := plain(t, withScript(func(_ *scripted, kong *pdk.PDK) {
		for i := range n {
			must(kong.Log.Err(i))
		}
		kong.Response.ExitStatus(204)
	}))
	w := attach(t, socket)
	head := w.event(0, w.instance("scripted", `{}`))
	next := 0
	for {
		got, body := w.receive()
		posted, _ := writes(t, got, body)
		for _, p := range posted {
			require.EqualValues(t, next, p.args[0])
			next++
		}
		if got.Type == wire.TypeExit {
			break
		}
		require.Zero(t, got.Arg&wire.ArgMethod, "nothing is called")
		w.answer(head, msgp.AppendNil(nil))
	}
	require.Equal(t, n, next, "the exit comes behind all writes")
}

func TestLinesBelowTheLogLevelStayHere(t *testing.T) {
	errs := make(chan error, 2)
	_, socket := plain(t, withScript(func(_ *scripted, kong *pdk.PDK) {
		errs <- kong.Log.Info("dropped")
		errs <- kong.Log.Debug(struct{}{})
		must(kong.Log.Notice("kept"))
	}))
	w := attach(t, socket)
	wire.WorkerCountersAt(w.a.Segment.Region(wire.RegionWorkerCounters)).LogLevel = 6 // notice
	done, body := w.expect(wire.TypeDone, w.event(0, w.instance("scripted", `{}`)))
	posted, _ := writes(t, done, body)
	require.Equal(t, []write{{"kong.log.notice", []interface{}{"kept"}}}, posted)
	require.NoError(t, <-errs)
	require.ErrorContains(t, <-errs, "invalid type", "a fault of the plugin is told all the same")
}

func TestAGetterIsAskedOnce(t *testing.T) {
	_, socket := plain(t, server.WithoutPrefetch(), withScript(func(_ *scripted, kong *pdk.PDK) {
		for _, name := range []string{"X-One", "x-one", "x-oNE"} {
			got, err := kong.Request.GetHeader(name)
			must(err)
			if got != "v" {
				panic(got)
			}
		}
		_, err := kong.Request.GetHeader("x-two")
		must(err)
		_, err = kong.Request.GetHeader("x_one") // may be another header
		must(err)
		// A write forgets what it may change, and nothing else.
		must(kong.ServiceRequest.SetHeader("x-one", "w"))
		_, err = kong.Request.GetHeader("x-one")
		must(err)
		for range 3 {
			_, err = kong.Request.GetPath()
			must(err)
			must(kong.Response.SetHeader("a", "b"))
		}
		_, err = kong.Request.GetMethod()
		must(err)
		must(kong.Service.SetTlsVerify(true)) // says whether it worked, each time
		must(kong.Service.SetTlsVerify(true))
		_, err = kong.Request.GetRawBody()
		must(err)
		must(kong.ServiceRequest.SetBody(nil, "")) // forgets what it may change
		_, err = kong.Request.GetRawBody()
		must(err)
		_, err = kong.Request.GetMethod()
		must(err)
		_, err = kong.Nginx.GetVar("x") // changes at any time
		must(err)
		_, err = kong.Nginx.GetVar("x")
		must(err)
	}))
	w := attach(t, socket)
	head := w.event(0, w.instance("scripted", `{}`))
	for _, want := range []string{
		"request.get_header [x-one]", "request.get_header [x-two]", "request.get_header [x_one]", "request.get_header [x-one]",
		"request.get_path []", "request.get_method []", "service.set_tls_verify [true]", "service.set_tls_verify [true]",
		"request.get_raw_body []", "service.request.set_body [map[] <nil>]", "request.get_raw_body []",
		"nginx.get_var [x]", "nginx.get_var [x]",
	} {
		call, body := w.expect(wire.TypeCall, head)
		_, args := writes(t, call, body)
		list, _, err := msgp.ReadIntfBytes(args)
		require.NoError(t, err)
		name := wire.MethodID(call.Arg & wire.ArgMethod).String()
		if want == "request.get_header [x-one]" {
			require.Contains(t, []string{"[X-One]", "[x-one]"}, fmt.Sprint(list))
			require.Equal(t, "kong.request.get_header", name)
		} else {
			require.Equal(t, "kong."+want, fmt.Sprint(name, " ", list))
		}
		if strings.HasSuffix(name, "raw_body") {
			w.answer(head, []byte{0x92, 0, 0xa1, 'v'})
		} else {
			w.answer(head, msgp.AppendString(nil, "v"))
		}
	}
	w.expect(wire.TypeDone, head)
}

// Kong finds the protocol in X-Forwarded-Proto.
func TestAProtocolThatAHeaderChanges(t *testing.T) {
	_, socket := plain(t, server.WithoutPrefetch(), withScript(func(_ *scripted, kong *pdk.PDK) {
		for _, want := range []string{"http", "https"} {
			got, err := kong.Client.GetProtocol(true)
			must(err)
			if got != want {
				panic(got)
			}
			must(kong.ServiceRequest.SetHeader("X-Forwarded-Proto", "https"))
		}
	}))
	w := attach(t, socket)
	head := w.event(0, w.instance("scripted", `{}`))
	for _, answer := range []string{"http", "https"} {
		w.expect(wire.TypeCall, head)
		w.answer(head, msgp.AppendString(nil, answer))
	}
	done, body := w.expect(wire.TypeDone, head)
	require.Zero(t, done.Code, "%s", body)
}

func TestAConstantIsAskedOnceInASession(t *testing.T) {
	_, socket := plain(t, server.WithoutPrefetch(), withScript(func(_ *scripted, kong *pdk.PDK) {
		if got, err := kong.Nginx.GetSubsystem(); err != nil || got != "http" {
			panic(got)
		}
	}))
	w := attach(t, socket)
	in := w.instance("scripted", `{}`)
	head := w.event(0, in)
	w.expect(wire.TypeCall, head)
	w.answer(head, msgp.AppendString(nil, "http"))
	w.expect(wire.TypeDone, head)
	for range 5 {
		w.expect(wire.TypeDone, w.event(0, in))
	}
}

// profiled runs events, answers their calls, sends values along as the server's
// profiles ask for it, and gives the methods that were still asked for.
type profiled struct {
	*worker
	version uint32
	bytes   uint32 // that the values of an event may have
	getters []string
}

func (p *profiled) run(in uint32) (asked []string) {
	p.t.Helper()
	head := p.head(wire.TypeEvent, 0)
	head.Code, head.Arg = wire.PhaseAccess, in
	var body []byte
	if p.version > 0 {
		body = binary.LittleEndian.AppendUint32(nil, p.version)
		body = binary.LittleEndian.AppendUint16(body, uint16(len(p.getters)))
		for range p.getters {
			value := msgp.AppendString(nil, "prefetched")
			body = append(binary.LittleEndian.AppendUint32(body, uint32(len(value))), value...)
		}
	}
	p.send(head, body)
	for {
		got, body := p.receive()
		switch got.Type {
		case wire.TypeProfile:
			p.learn(body)
		case wire.TypeCall:
			asked = append(asked, wire.MethodID(got.Arg&wire.ArgMethod).String())
			p.answer(head, msgp.AppendString(nil, "asked"))
		case wire.TypeDone:
			require.Zero(p.t, got.Code, "%s", body)
			return asked
		}
	}
}

func (p *profiled) learn(body []byte) {
	p.t.Helper()
	p.version, p.getters = binary.LittleEndian.Uint32(body), nil
	p.bytes = binary.LittleEndian.Uint32(body[4:])
	n := binary.LittleEndian.Uint16(body[8:])
	body = body[10:]
	for range n {
		id := wire.MethodID(binary.LittleEndian.Uint16(body))
		args, rest, err := msgp.ReadIntfBytes(body[2:])
		require.NoError(p.t, err)
		p.getters = append(p.getters, fmt.Sprint(id, args))
		body = rest
	}
}

// A new habit comes within about a hundred events, and an old one goes.
func TestProfileLearnsAndForgets(t *testing.T) {
	habit := make(chan string, 1)
	s, socket := plain(t, withScript(func(_ *scripted, kong *pdk.PDK) {
		which := <-habit
		habit <- which
		got, err := kong.Request.GetHeader(which)
		must(err)
		if got == "" {
			panic("no value")
		}
	}))
	p := &profiled{worker: attach(t, socket)}
	in := p.instance("scripted", `{}`)
	for _, which := range []string{"x-a", "x-b", "x-c"} {
		habit <- which
		for range 100 {
			p.run(in)
		}
		require.Equal(t, []string{"kong.request.get_header [" + which + "]"}, p.getters)
		for range 100 {
			require.Empty(t, p.run(in), "nothing is asked for any more")
		}
		<-habit
	}
	c := s.Stats().Sessions[0].Server
	require.Greater(t, c.PrefetchHits, uint64(300))
	require.Less(t, c.Profiles, uint64(12))
}

// Values come along without the memo as well, which is about asking again.
func TestProfileWithoutTheMemo(t *testing.T) {
	s, socket := plain(t, server.WithoutMemo(), withScript(func(_ *scripted, kong *pdk.PDK) {
		for range 3 {
			_, err := kong.Request.GetPath()
			must(err)
		}
	}))
	p := &profiled{worker: attach(t, socket)}
	in := p.instance("scripted", `{}`)
	require.Len(t, p.run(in), 3)
	for range 20 {
		p.run(in)
	}
	require.Empty(t, p.run(in))
	require.Equal(t, []string{"kong.request.get_path []"}, p.getters)
	c := s.Stats().Sessions[0].Server
	require.Positive(t, c.PrefetchHits)
	require.Zero(t, c.MemoHits)
}

// An event counts once, however often it asks for the same.
func TestProfileCountsEvents(t *testing.T) {
	n := 0
	s, socket := plain(t, withScript(func(_ *scripted, kong *pdk.PDK) {
		if n++; n%4 != 0 {
			return
		}
		for range 5 {
			_, err := kong.Request.GetHeader("x-a")
			must(err)
			must(kong.ServiceRequest.SetHeader("x-a", "b"))
		}
	}))
	p := &profiled{worker: attach(t, socket)}
	in := p.instance("scripted", `{}`)
	for range 100 {
		p.run(in)
	}
	require.Zero(t, s.Stats().Sessions[0].Server.Profiles, "a quarter of the events ask")
}

// The length of a name stands in front of it, and may look like a letter.
func TestNamesOfAllLengths(t *testing.T) {
	_, socket := plain(t, withScript(func(in *scripted, kong *pdk.PDK) {
		_, err := kong.Request.GetHeader(in.Name)
		must(err)
	}))
	p := &profiled{worker: attach(t, socket)}
	for n := range 240 {
		in := p.instance("scripted", fmt.Sprintf(`{"name": "X%s"}`, strings.Repeat("n", n)))
		p.version, p.getters = 0, nil
		for range 9 {
			p.run(in)
		}
		require.Equal(t, []string{"kong.request.get_header [x" + strings.Repeat("n", n) + "]"}, p.getters)
		require.Empty(t, p.run(in))
	}
}

// Declared getters come along soon after the first event, asked for or not.
func TestDeclaredGetters(t *testing.T) {
	s, socket := plain(t, server.WithPlugin("p", func() interface{} {
		return &scripted{access: func(_ *scripted, kong *pdk.PDK) {
			_, err := kong.Request.GetHeader("x-kEY")
			must(err)
		}}
	}, "0.1", 1, server.Prefetch("access",
		server.Get("kong.request.get_header", "X-Key"), server.Get("kong.request.get_headers", 100))))
	p := &profiled{worker: attach(t, socket)}
	in := p.instance("p", `{}`)
	require.Len(t, p.run(in), 1)
	require.Len(t, p.run(in), 1, "the profile comes behind the end of the first event")
	require.Equal(t, []string{"kong.request.get_header [x-key]", "kong.request.get_headers [100]"}, p.getters)
	for range 200 {
		require.Empty(t, p.run(in))
	}
	require.Len(t, p.getters, 2, "the one that is never asked for stays")
	require.Equal(t, uint64(1), s.Stats().Sessions[0].Server.Profiles)
}

func TestDeclarationsThatMakeNoSense(t *testing.T) {
	many := make([]server.Getter, wire.MaxPrefetch+1)
	for i := range many {
		many[i] = server.Get("kong.request.get_header", fmt.Sprint("x-", i))
	}
	for _, tc := range []struct {
		name   string
		option server.PluginOption
		err    string
	}{
		{"phase", server.Prefetch("balancer"), `no such phase`},
		{"empty phase", server.Prefetch(""), `no such phase`},
		{"method", server.Prefetch("access", server.Get("kong.request.get_nothing")), "no such method"},
		{"empty method", server.Prefetch("access", server.Get("")), "no such method"},
		{"setter", server.Prefetch("access", server.Get("kong.response.set_status", 200)), "cannot be sent along"},
		{"body", server.Prefetch("access", server.Get("kong.request.get_raw_body")), "cannot be sent along"},
		{"variable", server.Prefetch("access", server.Get("kong.nginx.get_var", "x")), "cannot be sent along"},
		{"argument", server.Prefetch("access", server.Get("kong.request.get_header", 1.5)), "argument of type float64"},
		{"too many", server.Prefetch("access", many...), "33 getters, the limit is 32"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := server.New(server.WithSocket("s"), server.WithPlugin("p", func() interface{} { return &scripted{} }, "0.1", 1, tc.option))
			require.ErrorContains(t, err, "plugin p: ")
			require.ErrorContains(t, err, tc.err)
		})
	}
}

func TestNoPrefetchForOnePlugin(t *testing.T) {
	s, socket := plain(t, server.WithPlugin("p", func() interface{} {
		return &scripted{access: func(_ *scripted, kong *pdk.PDK) {
			_, err := kong.Request.GetPath()
			must(err)
		}}
	}, "0.1", 1, server.NoPrefetch()))
	p := &profiled{worker: attach(t, socket)}
	in := p.instance("p", `{}`)
	for range 100 {
		require.Len(t, p.run(in), 1)
	}
	require.Zero(t, s.Stats().Sessions[0].Server.Profiles)
}

// A plugin that asks for something else at each event costs no profile at each.
func TestProfileOfAPluginWithoutHabits(t *testing.T) {
	n := 0
	s, socket := plain(t, withScript(func(_ *scripted, kong *pdk.PDK) {
		n++
		_, err := kong.Request.GetHeader(fmt.Sprint("x-", n))
		must(err)
	}))
	p := &profiled{worker: attach(t, socket)}
	in := p.instance("scripted", `{}`)
	for range 1000 {
		p.run(in)
	}
	require.Zero(t, s.Stats().Sessions[0].Server.Profiles)
}

// Never a body, and nothing that changes at any time.
func TestWhatIsNeverPrefetched(t *testing.T) {
	s, socket := plain(t, withScript(func(_ *scripted, kong *pdk.PDK) {
		_, _ = kong.Request.GetRawBody()
		_, _ = kong.ServiceResponse.GetRawBody()
		_, _, _ = kong.ServiceResponse.GetBody("", 0)
		_, _ = kong.Vault.Get("{vault://env/x}")
		_, _ = kong.Client.LoadConsumer("x", true)
		_ = kong.Service.SetUpstream("x")
		_, _ = kong.Nginx.GetVar("x")
		_ = kong.Response.SetHeader("a", "b")
	}))
	p := &profiled{worker: attach(t, socket)}
	in := p.instance("scripted", `{}`)
	for range 200 {
		p.run(in)
	}
	require.Zero(t, s.Stats().Sessions[0].Server.Profiles)
}

// Values that make no sense end the session, with a reason.
func TestValuesThatLie(t *testing.T) {
	event := func(version uint32, count uint16, rest ...byte) []byte {
		return append(binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint32(nil, version), count), rest...)
	}
	for _, tc := range []struct {
		name string
		body []byte
	}{
		{"too short", []byte{1, 0, 0}},
		{"more values than the profile has", event(1, 40)},
		{"values that end early", event(1, 1, 9)},
		{"a value longer than the message", event(1, 1, 200, 0, 0, 0, 1)},
		{"the longest length but one", event(1, 1, 0xfe, 0xff, 0xff, 0xff)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, socket := plain(t, withScript(func(_ *scripted, kong *pdk.PDK) {
				_, err := kong.Request.GetPath()
				must(err)
			}))
			p := &profiled{worker: attach(t, socket)}
			in := p.instance("scripted", `{}`)
			for p.version == 0 {
				p.run(in)
			}
			require.Equal(t, uint32(1), p.version)
			head := p.head(wire.TypeEvent, 0)
			head.Code, head.Arg = wire.PhaseAccess, in
			p.send(head, tc.body)
			require.Eventually(t, func() bool { return s.Stats().SessionsFailed == 1 }, patience, time.Millisecond)
		})
	}
}

// A value of an unknown profile, or one that could not be had, is asked for.
func TestValuesThatAreMissing(t *testing.T) {
	_, socket := plain(t, withScript(func(_ *scripted, kong *pdk.PDK) {
		got, err := kong.Request.GetPath()
		must(err)
		if got != "asked" {
			panic(got)
		}
	}))
	p := &profiled{worker: attach(t, socket)}
	in := p.instance("scripted", `{}`)
	for _, body := range [][]byte{
		binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint32(nil, 99), 3),
		append(binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint32(nil, 0), 0), 1),
	} {
		head := p.head(wire.TypeEvent, 0)
		head.Code, head.Arg = wire.PhaseAccess, in
		p.send(head, body)
		p.expect(wire.TypeCall, head)
		p.answer(head, msgp.AppendString(nil, "asked"))
		p.expect(wire.TypeDone, head)
	}
}

// A PDK that outlives its event does not reach the next one, whose values are
// not its business.
func TestKeptPDKReadsNothing(t *testing.T) {
	kept := make(chan *pdk.PDK, 100)
	_, socket := plain(t, withScript(func(_ *scripted, kong *pdk.PDK) { kept <- kong }))
	w := attach(t, socket)
	in := w.instance("scripted", `{}`)
	for range 50 {
		w.expect(wire.TypeDone, w.event(0, in))
		_, err := (<-kept).Request.GetPath()
		require.ErrorIs(t, err, bridge.ErrOver)
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// The operator's bounds reach the worker; a declared getter is not the one that
// is left out.
func TestPrefetchBounds(t *testing.T) {
	for _, bounds := range [][2]int{{0, 1}, {1, 0}, {wire.MaxPrefetch + 1, 1}, {1, wire.MaxPrefetchBytes + 1}} {
		_, err := server.New(server.WithPrefetchBounds(bounds[0], bounds[1]))
		require.ErrorContains(t, err, fmt.Sprintf("prefetch bounds of %d getters and %d bytes", bounds[0], bounds[1]))
	}
	_, socket := plain(t, server.WithPrefetchBounds(2, 77), server.WithPlugin("p", func() interface{} {
		return &scripted{access: func(_ *scripted, kong *pdk.PDK) {
			for _, name := range []string{"x-a", "x-b", "x-c"} {
				_, err := kong.Request.GetHeader(name)
				must(err)
			}
		}}
	}, "0.1", 1, server.Prefetch("access", server.Get("kong.request.get_path"))))
	p := &profiled{worker: attach(t, socket)}
	in := p.instance("p", `{}`)
	for range 100 {
		p.run(in)
	}
	require.Len(t, p.getters, 2)
	require.Contains(t, p.getters, "kong.request.get_path []")
	require.EqualValues(t, 77, p.bytes)
}
