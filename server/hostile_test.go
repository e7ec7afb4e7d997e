package server_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tinylib/msgp/msgp"

	"github.com/kongring/kongring/ring"
	"github.com/kongring/kongring/server"
	"github.com/kongring/kongring/server/pdk"
	"github.com/kongring/kongring/server/pdk/bridge"
	"github.com/kongring/kongring/server/wire"
	"github.com/kongring/kongring/shm"
)

// record is what a server logged, line by line.
type record struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (r *record) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(b)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

func (r *record) option() server.Option {
	return server.WithLogger(slog.New(slog.NewJSONHandler(r, nil)))
}

// lines gives the lines with the given message.
func (r *record) lines(t testing.TB, message string) (lines []map[string]interface{}) {
	t.Helper()
	r.mu.Lock()
	text := r.text.String()
	r.mu.Unlock()
	for line := range strings.Lines(text) {
		fields := map[string]interface{}{}
		require.NoError(t, json.Unmarshal([]byte(line), &fields))
		if fields["msg"] == message {
			lines = append(lines, fields)
		}
	}
	return lines
}

// obedient is a plugin whose config says what its handler does.
func obedient() server.Option {
	return withScript(func(s *scripted, kong *pdk.PDK) {
		switch s.Name {
		case "waits":
			<-kong.Context().Done()
		case "calls":
			_, _ = kong.Request.GetPath()
		case "calls and waits":
			_, _ = kong.Request.GetPath()
			<-kong.Context().Done()
		}
	})
}

// oneEvent runs an event with one call, from its begin to its end.
func (w *worker) oneEvent(slot uint16, calls uint32) {
	w.t.Helper()
	head := w.event(slot, calls)
	w.expect(wire.TypeCall, head)
	w.answer(head, msgp.AppendString(nil, "/"))
	done, body := w.expect(wire.TypeDone, head)
	require.Equal(w.t, uint8(wire.StatusOK), done.Code, "%s", body)
}

// running begins an event and waits until its handler runs.
func (w *worker) running(s *server.Server, slot uint16, config string) wire.Head {
	w.t.Helper()
	head := w.event(slot, w.instance("scripted", config))
	require.Eventually(w.t, func() bool {
		for _, session := range s.Stats().Sessions {
			if session.Session == w.a.Welcome.Session {
				return session.UnderWay == 1
			}
		}
		return false
	}, patience, time.Millisecond)
	return head
}

// Small limits, so that a lie beyond them is short.
const (
	lieRing    = 4 << 10
	lieMessage = 2 << 10
)

var lies = []struct {
	name string
	tell func(s *server.Server, w *worker)
	says string // the cause in the server's log
}{
	{"no head", func(_ *server.Server, w *worker) {
		w.lie(make([]byte, wire.HeadSize-1), false)
	}, "message of 11 bytes is shorter than its head of 12"},
	{"empty frame", func(_ *server.Server, w *worker) {
		w.lie(nil, false)
	}, "message of 0 bytes is shorter than its head of 12"},
	{"short piece", func(_ *server.Server, w *worker) {
		w.lie([]byte{wire.TypeReturn}, true)
	}, "message of 1 bytes is shorter than its head of 12"},
	{"slot out of range", func(_ *server.Server, w *worker) {
		w.send(wire.Head{Type: wire.TypeEvent, Slot: wire.MaxSlots, Generation: 1}, nil)
	}, "slot 4096, the limit is 4096"},
	{"last slot number", func(_ *server.Server, w *worker) {
		w.send(wire.Head{Type: wire.TypeEvent, Slot: 65535, Generation: 1}, nil)
	}, "slot 65535, the limit is 4096"},
	{"type 0", func(_ *server.Server, w *worker) { w.send(w.head(0, 0), nil) }, "message type 0 from a worker"},
	{"unknown type", func(_ *server.Server, w *worker) { w.send(w.head(77, 0), nil) }, "message type 77 from a worker"},
	{"type Started", func(_ *server.Server, w *worker) {
		w.send(w.head(wire.TypeStarted, 0), nil)
	}, "message type 2 from a worker"},
	{"type Call", func(_ *server.Server, w *worker) {
		w.send(w.head(wire.TypeCall, 0), nil)
	}, "message type 5 from a worker"},
	{"type Exit", func(_ *server.Server, w *worker) {
		w.send(w.head(wire.TypeExit, 0), nil)
	}, "message type 7 from a worker"},
	{"type Done", func(_ *server.Server, w *worker) {
		w.send(w.head(wire.TypeDone, 0), nil)
	}, "message type 8 from a worker"},

	{"generation again", func(_ *server.Server, w *worker) {
		in := w.instance("scripted", `{}`)
		head := w.event(5, in)
		w.expect(wire.TypeDone, head)
		head.Type, head.Code, head.Arg = wire.TypeEvent, wire.PhaseAccess, in
		w.send(head, nil)
	}, "slot 5 begins with generation 2 again"},
	{"start with the generation of an event", func(_ *server.Server, w *worker) {
		head := w.event(5, w.instance("scripted", `{}`))
		w.expect(wire.TypeDone, head)
		head.Type = wire.TypeStart
		w.send(head, nil)
	}, "slot 5 begins with generation 2 again"},
	{"generation 0 in a fresh slot", func(_ *server.Server, w *worker) {
		w.send(wire.Head{Type: wire.TypeEvent, Slot: 8}, nil)
	}, "slot 8 begins with generation 0 again"},

	{"answer with another generation", func(_ *server.Server, w *worker) {
		head := w.event(4, w.instance("scripted", `{"name":"calls"}`))
		w.expect(wire.TypeCall, head)
		head.Generation = 9
		w.answer(head, nil)
	}, "answer in slot 4 generation 9, where no call waits (generation 2)"},
	{"answer in a slot without event", func(_ *server.Server, w *worker) {
		w.answer(wire.Head{Slot: 9, Generation: 0}, nil)
	}, "answer in slot 9 generation 0, where no call waits (generation 0)"},
	{"answer to a handler that did not ask", func(s *server.Server, w *worker) {
		w.answer(w.running(s, 4, `{"name":"waits"}`), nil)
	}, "answer in slot 4 generation 2, where no call waits (generation 2)"},
	{"answer twice", func(_ *server.Server, w *worker) {
		head := w.event(4, w.instance("scripted", `{"name":"calls and waits"}`))
		w.expect(wire.TypeCall, head)
		w.answer(head, msgp.AppendNil(nil))
		w.answer(head, msgp.AppendNil(nil))
	}, "answer in slot 4 generation 2, where no call waits (generation 2)"},
	{"answer after the end", func(_ *server.Server, w *worker) {
		head := w.event(4, w.instance("scripted", `{}`))
		w.expect(wire.TypeDone, head)
		w.answer(head, nil)
	}, "answer in slot 4 generation 2, where no call waits (generation 2)"},

	{"cancel that holds no text", func(s *server.Server, w *worker) {
		head := w.running(s, 6, `{"name":"waits"}`)
		head.Type = wire.TypeCancel
		w.send(head, msgp.AppendInt(nil, 7))
	}, "cancel in slot 6: msgp: attempted to decode type"},
	{"cancel with a text that is cut off", func(s *server.Server, w *worker) {
		head := w.running(s, 6, `{"name":"waits"}`)
		head.Type = wire.TypeCancel
		w.send(head, []byte{0xa5, 'l', 'a'})
	}, "cancel in slot 6: msgp: too few bytes"},

	{"start that cannot be decoded", func(_ *server.Server, w *worker) {
		w.send(w.head(wire.TypeStart, 0), []byte{0x93})
	}, "start of an instance: msgp: wanted array of size 4; got 3"},
	{"start without a body", func(_ *server.Server, w *worker) {
		w.send(w.head(wire.TypeStart, 0), nil)
	}, "start of an instance: msgp: too few bytes"},
	{"close of no instance", func(_ *server.Server, w *worker) {
		w.send(wire.Head{Type: wire.TypeClose}, nil)
	}, "close of instance 0, which is not open"},
	{"close of an unknown instance", func(_ *server.Server, w *worker) {
		w.instance("scripted", `{}`)
		w.send(wire.Head{Type: wire.TypeClose, Arg: 2}, nil)
	}, "close of instance 2, which is not open"},
	{"close of the last number", func(_ *server.Server, w *worker) {
		w.send(wire.Head{Type: wire.TypeClose, Arg: 1<<32 - 1}, nil)
	}, "close of instance 4294967295, which is not open"},
	{"close twice", func(_ *server.Server, w *worker) {
		in := w.instance("scripted", `{}`)
		w.send(wire.Head{Type: wire.TypeClose, Arg: in}, nil)
		w.send(wire.Head{Type: wire.TypeClose, Arg: in}, nil)
	}, "close of instance 1, which is not open"},

	{"pieces with different heads", func(_ *server.Server, w *worker) {
		w.piece(wire.Head{Type: wire.TypeStart, Slot: 2, Generation: 1}, 10, true)
		w.piece(wire.Head{Type: wire.TypeStart, Slot: 2, Generation: 1, Arg: 31}, 10, false)
	}, "Type:1 Code:0 Slot:2 Generation:1 Arg:31} of message {"},
	{"message beyond the limit", func(_ *server.Server, w *worker) {
		head := wire.Head{Type: wire.TypeStart, Slot: 2, Generation: 1}
		for range 3 {
			w.piece(head, 900, true)
		}
	}, fmt.Sprintf("message of more than %d bytes, the limit", lieMessage)},
	{"message beyond the limit in its last piece", func(_ *server.Server, w *worker) {
		head := wire.Head{Type: wire.TypeStart, Slot: 2, Generation: 1}
		w.piece(head, 1000, true)
		w.piece(head, 1000, true)
		w.piece(head, 37, false)
	}, fmt.Sprintf("message of more than %d bytes, the limit", lieMessage)},
	{"unfinished messages beyond the limit", func(_ *server.Server, w *worker) {
		for slot := range uint16(9) {
			w.piece(wire.Head{Type: wire.TypeStart, Slot: slot, Generation: 1}, 1000, true)
		}
	}, fmt.Sprintf("%d bytes of unfinished messages, the limit is %d", 9*(1000+wire.HeadSize), 4*lieMessage)},

	{"garbage where the next frame starts", func(_ *server.Server, w *worker) {
		start := ring.ControlSize + uint32(ring.Start)%lieRing
		binary.LittleEndian.PutUint32(w.a.Segment.Region(wire.RegionToServer)[start:], 0xdeadbeef)
		require.NoError(w.t, w.a.Bell.Ring())
	}, "frame at offset 3840 of 4096: commit word 0xdeadbeef"},
	{"frame longer than the ring allows", func(_ *server.Server, w *worker) {
		start := ring.ControlSize + uint32(ring.Start)%lieRing
		binary.LittleEndian.PutUint32(w.a.Segment.Region(wire.RegionToServer)[start:], ring.Committed|lieRing)
		require.NoError(w.t, w.a.Bell.Ring())
	}, "frame at offset 3840 of 4096: commit word 0x80001000"},
	{"consumed what was never sent", func(_ *server.Server, w *worker) {
		w.consumed(0x123458)
		for slot := range uint16(200) {
			head := w.head(wire.TypeEvent, slot)
			if w.sendFrame(wire.AppendHead(nil, head), false) != nil {
				return // closed already
			}
		}
	}, "consumed position 0x123458 is not between"},
	{"ends of events that it never reads", func(_ *server.Server, w *worker) {
		in := w.instance("scripted", `{}`)
		// In all slots: half of the events run, and the others are refused.
		for i := range 3 * wire.MaxSlots {
			head := w.head(wire.TypeEvent, uint16(i%wire.MaxSlots))
			head.Code, head.Arg = wire.PhaseAccess, in
			if w.sendFrame(wire.AppendHead(nil, head), false) != nil {
				return // closed already
			}
		}
	}, "4097 replies wait to be read, the limit is 4096"},
	{"replies that it never reads", func(_ *server.Server, w *worker) {
		for i := range 2 * wire.MaxSlots {
			head := w.head(wire.TypeEvent, uint16(i%wire.MaxSlots))
			if w.sendFrame(wire.AppendHead(nil, head), false) != nil {
				return // closed already
			}
		}
	}, "4097 replies wait to be read, the limit is 4096"},
}

// lie sends a frame that the server may close the session for at once.
func (w *worker) lie(frame []byte, more bool) {
	w.t.Helper()
	require.NoError(w.t, w.sendFrame(frame, more))
}

// piece sends a frame of a message with n bytes of body.
func (w *worker) piece(head wire.Head, n int, more bool) {
	w.t.Helper()
	w.lie(append(wire.AppendHead(nil, head), make([]byte, n)...), more)
}

// consumed makes up a position up to which this side has read.
func (w *worker) consumed(position uint32) {
	binary.LittleEndian.PutUint32(w.a.Segment.Region(wire.RegionToWorker), position)
}

func TestWorkerThatLies(t *testing.T) {
	for _, lie := range lies {
		t.Run(lie.name, func(t *testing.T) {
			log := new(record)
			s, socket := start(t, log.option(), obedient(),
				server.WithRingCapacity(lieRing), server.WithMaxMessage(lieMessage))
			honest := attach(t, socket)
			calls := honest.instance("scripted", `{"name":"calls"}`)
			honest.oneEvent(0, calls)

			liar := attach(t, socket)
			lie.tell(s, liar)
			liar.waitHangUp()
			requireClosedFor(t, s, log, liar, lie.says)
			honest.oneEvent(0, calls)
			attach(t, socket).instance("scripted", `{}`)
		})
	}
}

// requireClosedFor checks that the liar's session, and no other, was closed for
// the reason that the log has to name.
func requireClosedFor(t *testing.T, s *server.Server, log *record, liar *worker, says string) {
	t.Helper()
	closed := log.lines(t, "session closed")
	require.Len(t, closed, 1)
	require.EqualValues(t, liar.a.Welcome.Session, closed[0]["session"])
	require.Contains(t, closed[0]["cause"], says)
	require.Empty(t, log.lines(t, "handler panicked"))
	require.EqualValues(t, 1, s.Stats().SessionsFailed)
	require.Eventually(t, func() bool { return len(s.Stats().Sessions) == 1 }, patience, time.Millisecond)
}

// dialRaw says hello and gives the bare connection behind a welcome.
func dialRaw(t testing.TB, socket string, h shm.Hello) net.Conn {
	t.Helper()
	c, err := net.Dial("unix", socket)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	sayHello(t, c, h)
	return c
}

// sayHello says hello on a bare connection and reads the welcome.
func sayHello(t testing.TB, c net.Conn, h shm.Hello) {
	t.Helper()
	require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
	var b []byte
	for _, n := range []uint32{shm.Magic, shm.Version, wire.Version, h.Kind, h.Worker, h.PID, h.CPU, h.Session} {
		b = binary.LittleEndian.AppendUint32(b, n)
	}
	_, err := c.Write(append(b, h.Token[:]...))
	require.NoError(t, err)
	welcome := make([]byte, shm.WelcomeSize)
	_, err = io.ReadFull(c, welcome)
	require.NoError(t, err)
	require.EqualValues(t, shm.WelcomeOK, binary.LittleEndian.Uint32(welcome[12:]))
}

func TestBytesBehindTheHello(t *testing.T) {
	log := new(record)
	s, socket := start(t, log.option(), obedient())
	honest := attach(t, socket)
	calls := honest.instance("scripted", `{"name":"calls"}`)

	control := dialRaw(t, socket, shm.Hello{Kind: shm.HelloAttach})
	_, err := control.Write([]byte{shm.LeaveByte})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(log.lines(t, "worker leaves")) == 1 }, patience, time.Millisecond)
	require.Len(t, s.Stats().Sessions, 2, "a worker that leaves is still attached")
	_, err = control.Write([]byte{'X'})
	require.NoError(t, err)
	_, err = control.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
	closed := log.lines(t, "session closed")
	require.Len(t, closed, 1)
	require.Contains(t, closed[0]["cause"], "byte 0x58 behind the hello")

	liar := attach(t, socket)
	doorbell := dialRaw(t, socket, shm.Hello{
		Kind: shm.HelloDoorbell, Session: liar.a.Welcome.Session, Token: liar.a.Welcome.Token,
	})
	_, err = doorbell.Write([]byte{shm.LeaveByte})
	require.NoError(t, err)
	liar.waitHangUp()
	closed = log.lines(t, "session closed")
	require.Len(t, closed, 2)
	require.EqualValues(t, liar.a.Welcome.Session, closed[1]["session"])
	require.Contains(t, closed[1]["cause"], "byte 0x4c behind the hello")

	require.EqualValues(t, 2, s.Stats().SessionsFailed)
	honest.oneEvent(0, calls)
}

func TestDoorbellOfAnotherSession(t *testing.T) {
	log := new(record)
	s, socket := start(t, log.option(), obedient())
	w := attach(t, socket)
	calls := w.instance("scripted", `{"name":"calls"}`)
	wrong := w.a.Welcome.Token
	wrong[15] ^= 1
	for _, tc := range []struct {
		name    string
		session uint32
		token   [16]uint8
		says    string
	}{
		{"wrong token", w.a.Welcome.Session, wrong, "doorbell of session 1: wrong token"},
		{"no token", w.a.Welcome.Session, [16]uint8{}, "doorbell of session 1: wrong token"},
		{"unknown session", 99, w.a.Welcome.Token, "no session 99"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := shm.Dial(socket, shm.Hello{
				Kind: shm.HelloDoorbell, App: wire.Version, Session: tc.session, Token: tc.token,
			}, patience)
			require.ErrorIs(t, err, shm.ErrRefused)
			require.ErrorContains(t, err, fmt.Sprintf("status %d: %s", shm.WelcomeBad, tc.says))
			refused := log.lines(t, "connection refused")
			require.Equal(t, tc.says, refused[len(refused)-1]["reason"])
			w.oneEvent(0, calls)
		})
	}
	require.EqualValues(t, 3, s.Stats().Refused)
	require.Zero(t, s.Stats().SessionsFailed)
}

// The last doorbell connection is the one that rings; the one before is closed.
func TestDoorbellIsReplaced(t *testing.T) {
	_, socket := start(t, obedient())
	w := attach(t, socket)
	old := w.doorbell
	var err error
	w.doorbell, err = shm.Dial(socket, shm.Hello{
		Kind: shm.HelloDoorbell, App: wire.Version, Session: w.a.Welcome.Session, Token: w.a.Welcome.Token,
	}, patience)
	require.NoError(t, err)
	overdue := time.AfterFunc(patience, func() { _ = old.Close() })
	defer overdue.Stop()
	for err = old.WaitRing(); err == nil; {
		err = old.WaitRing()
	}
	require.ErrorIs(t, err, io.EOF)
	require.NoError(t, old.Close())
	calls := w.instance("scripted", `{"name":"calls"}`)
	for range 100 {
		w.oneEvent(0, calls)
	}
}

func TestHelloThatMakesNoSense(t *testing.T) {
	log := new(record)
	s, socket := start(t, log.option(), obedient())
	for _, tc := range []struct {
		name   string
		hello  shm.Hello
		status int
		says   string
	}{
		{"magic", shm.Hello{Magic: 7, App: wire.Version, Kind: shm.HelloAttach}, shm.WelcomeBad, "magic 0x7"},
		{"kind", shm.Hello{App: wire.Version, Kind: 9}, shm.WelcomeBad, "kind 9"},
		{"version", shm.Hello{App: wire.Version + 1, Kind: shm.HelloAttach}, shm.WelcomeVersion,
			fmt.Sprintf("%d.%d, server %[1]d.%[3]d", shm.Version, wire.Version+1, wire.Version)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := shm.Dial(socket, tc.hello, patience)
			require.ErrorIs(t, err, shm.ErrRefused)
			require.ErrorContains(t, err, fmt.Sprintf("status %d: ", tc.status))
			require.ErrorContains(t, err, tc.says)
			refused := log.lines(t, "connection refused")
			require.Contains(t, refused[len(refused)-1]["reason"], tc.says)
		})
	}
	require.EqualValues(t, 3, s.Stats().Refused)
	require.Zero(t, s.Stats().SessionsBegun)
}

// A worker that lies about what it has read ends its session at the first write
// that notices, also when the handler does not return because of it.
func TestLyingConsumerEndsTheCallOfAHandler(t *testing.T) {
	log := new(record)
	failed := make(chan error, 1)
	s, socket := start(t, log.option(), server.WithRingCapacity(lieRing), withScript(func(s *scripted, kong *pdk.PDK) {
		if s.Name == "calls" {
			_, _ = kong.Request.GetPath()
			return
		}
		for {
			if err := kong.Response.SetHeader("a", strings.Repeat("b", 800)); err != nil {
				failed <- err
				<-kong.Context().Done()
				return
			}
		}
	}))
	honest := attach(t, socket)
	calls := honest.instance("scripted", `{"name":"calls"}`)
	w := attach(t, socket)
	head := w.event(0, w.instance("scripted", `{}`))
	w.consumed(0x777770)
	for {
		if got, _, err := w.receiveOrEnd(); err != nil || got.Type != wire.TypeCall {
			break
		}
		w.consumed(0x777770)
		head.Type, head.Code, head.Arg = wire.TypeReturn, wire.StatusOK, 0
		if w.sendFrame(append(wire.AppendHead(nil, head), 0xc0), false) != nil {
			break
		}
	}
	w.waitHangUp()
	require.Error(t, <-failed)
	requireClosedFor(t, s, log, w, "consumed position 0x777770 is not between")
	honest.oneEvent(0, calls)
}

// An answer that is damaged is an error of its call and nothing else.
func TestDamagedAnswers(t *testing.T) {
	calls := map[string]func(*pdk.PDK) error{
		"string":   func(kong *pdk.PDK) error { _, err := kong.Request.GetPath(); return err },
		"int":      func(kong *pdk.PDK) error { _, err := kong.Request.GetPort(); return err },
		"number":   func(kong *pdk.PDK) error { _, err := kong.Request.GetHttpVersion(); return err },
		"headers":  func(kong *pdk.PDK) error { _, err := kong.Request.GetHeaders(-1); return err },
		"body":     func(kong *pdk.PDK) error { _, err := kong.Request.GetRawBody(); return err },
		"bytes":    func(kong *pdk.PDK) error { _, err := kong.ServiceResponse.GetRawBody(); return err },
		"parsed":   func(kong *pdk.PDK) error { _, _, err := kong.ServiceResponse.GetBody("", 0); return err },
		"route":    func(kong *pdk.PDK) error { _, err := kong.Router.GetRoute(); return err },
		"captures": func(kong *pdk.PDK) error { _, _, err := kong.Request.GetUriCaptures(); return err },
		"value":    func(kong *pdk.PDK) error { _, err := kong.Ctx.GetSharedAny("k"); return err },
		"table":    func(kong *pdk.PDK) error { _, err := kong.Client.GetConsumer(); return err },
	}
	errs := make(chan error, 1)
	s, socket := start(t, withScript(func(s *scripted, kong *pdk.PDK) { errs <- calls[s.Name](kong) }))
	w := attach(t, socket)
	for name := range calls {
		in := w.instance("scripted", `{"name":"`+name+`"}`)
		for what, body := range map[string][]byte{
			"nothing":              {},
			"never used byte":      {0xc1},
			"cut string":           {0xd9, 200, 'x'},
			"string of 4 GiB":      {0xdb, 0xff, 0xff, 0xff, 0xff, 'x'},
			"bytes of 4 GiB":       {0xc6, 0xff, 0xff, 0xff, 0xff, 'x'},
			"array of 4 Gi":        {0xdd, 0xff, 0xff, 0xff, 0xff, 0xc0},
			"map of 4 Gi":          {0xdf, 0xff, 0xff, 0xff, 0xff, 0xa1, 'x'},
			"array in a short map": {0x82, 0xa1, 'x', 0x91},
			"extension":            {0xd4, 5, 0},
			"deep":                 bytes.Repeat([]byte{0x91}, 1000),
			"cut number":           {0xcb, 1, 2},
		} {
			t.Run(name+" from "+what, func(t *testing.T) {
				head := w.event(0, in)
				w.expect(wire.TypeCall, head)
				w.answer(head, body)
				done, text := w.expect(wire.TypeDone, head)
				require.Equal(t, uint8(wire.StatusOK), done.Code, "%s", text)
				require.Error(t, <-errs)
			})
		}
	}
	require.Zero(t, s.Stats().SessionsFailed)
	require.Zero(t, s.Stats().Sessions[0].Server.Panics)
}

// A worker gives an event up whose last message waits for room, and reads nothing
// any more, since it has nothing else under way: the handler is out of it.
func TestCancelEndsAMessageThatWaits(t *testing.T) {
	s, socket := plain(t, server.WithRingCapacity(1<<10), withScript(func(_ *scripted, kong *pdk.PDK) {
		_ = kong.Ctx.SetShared("k", strings.Repeat("x", 4000)) // travels with the DONE
	}))
	w := attach(t, socket)
	in := w.instance("scripted", `{}`)
	for name, giveUp := range map[string]func(wire.Head){
		"cancel":   func(head wire.Head) { w.cancel(head, wire.StatusDeadline, "late") },
		"next use": func(head wire.Head) { w.event(head.Slot, in) },
	} {
		waits := s.Stats().Sessions[0].Server.FullWaits
		head := w.event(3, in)
		require.Eventually(t, func() bool { return s.Stats().Sessions[0].Server.FullWaits > waits }, patience, time.Millisecond)
		begun := s.Stats().Sessions[0].Server.EventsDone
		giveUp(head)
		require.Eventually(t, func() bool { return s.Stats().Sessions[0].Server.EventsDone > begun }, patience, time.Millisecond, name)
	}
	require.Zero(t, s.Stats().SessionsFailed)
}

// A worker that has lost its patience before it is welcome hung up like any
// other.
func TestWorkerThatDoesNotWaitForItsWelcome(t *testing.T) {
	s, socket := start(t, obedient())
	hello := shm.Hello{Magic: shm.Magic, Version: shm.Version, App: wire.Version, Kind: shm.HelloAttach, CPU: shm.CPUUnknown}
	message, err := binary.Append(nil, binary.NativeEndian, hello)
	require.NoError(t, err)
	require.Len(t, message, shm.HelloSize)
	const workers = 200 // most of them are gone in time
	for range workers {
		c, err := net.Dial("unix", socket)
		require.NoError(t, err)
		_, err = c.Write(message)
		require.NoError(t, err)
		require.NoError(t, c.Close())
	}
	require.Eventually(t, func() bool {
		stats := s.Stats()
		return stats.SessionsBegun == workers && len(stats.Sessions) == 0
	}, patience, time.Millisecond)
	require.Zero(t, s.Stats().SessionsFailed)
}

// A worker that gives an event up may find no room to say so: the next use of
// the slot says it.
func TestNewGenerationEndsTheOld(t *testing.T) {
	over := make(chan error, 1)
	s, socket := start(t, withScript(func(s *scripted, kong *pdk.PDK) {
		if s.Name == "waits" {
			<-kong.Context().Done()
			_, err := kong.Request.GetPath()
			over <- err
		}
	}))
	w := attach(t, socket)
	waits, quick := w.instance("scripted", `{"name":"waits"}`), w.instance("scripted", `{}`)
	for range 20 {
		w.event(3, waits)
		head := w.event(3, quick)
		require.ErrorIs(t, <-over, bridge.ErrOver)
		w.expect(wire.TypeDone, head)
	}
	// The same for a message that was given up between two pieces, and for a
	// cancel of what the server never saw.
	w.piece(wire.Head{Type: wire.TypeStart, Slot: 4, Generation: 900}, 10, true)
	w.next = 1000
	w.expect(wire.TypeDone, w.event(4, quick))
	w.piece(wire.Head{Type: wire.TypeStart, Slot: 5, Generation: 1900}, 10, true)
	w.cancel(wire.Head{Slot: 5, Generation: 1900}, wire.StatusDeadline, "late")
	w.cancel(wire.Head{Slot: 6, Generation: 77}, wire.StatusDeadline, "late")
	w.expect(wire.TypeDone, w.event(5, quick))
	require.Zero(t, s.Stats().SessionsFailed)
}
