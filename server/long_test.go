package server_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tinylib/msgp/msgp"

	"github.com/kongring/kongring/server"
	"github.com/kongring/kongring/server/pdk"
	"github.com/kongring/kongring/server/wire"
)

// long is a text of 200 KB that no other number has.
func long(number int) []byte { return bytes.Repeat(fmt.Appendf(nil, "%08d", number), 25_000) }

// bodyOf is the result of GetRawBody.
func bodyOf(content []byte) []byte {
	return msgp.AppendBytes(msgp.AppendInt(msgp.AppendArrayHeader(nil, 2), 0), content)
}

// Long messages use each other's memory, but none while another is in use.
func TestLongMessagesKeepTheirContent(t *testing.T) {
	type texts struct{ body, a, b, again []byte }
	got := make(chan texts, 1)
	_, socket := plain(t, server.WithoutPrefetch(), withScript(func(_ *scripted, kong *pdk.PDK) {
		var x texts
		var err error
		if x.body, err = kong.Request.GetRawBody(); err != nil {
			panic(err)
		}
		for key, to := range map[string]*[]byte{"a": &x.a, "b": &x.b} {
			text, err := kong.Ctx.GetSharedString(key)
			if err != nil {
				panic(err)
			}
			*to = []byte(text)
		}
		if x.again, err = kong.Request.GetRawBody(); err != nil { // it is remembered
			panic(err)
		}
		if err := kong.ServiceRequest.SetRawBody(string(x.again)); err != nil {
			panic(err)
		}
		got <- x
	}))
	w := attach(t, socket)
	in := w.instance("scripted", `{}`)
	for n := range 30 {
		head := w.event(0, in)
		w.expect(wire.TypeCall, head)
		w.answer(head, bodyOf(long(3*n)))
		for range 2 {
			_, body := w.expect(wire.TypeCall, head)
			key := 3*n + 1 + int(body[len(body)-1]-'a')
			w.answer(head, msgp.AppendStringFromBytes(nil, long(key)))
		}
		_, body := w.expect(wire.TypeCall, head) // the write is too long to wait
		require.True(t, bytes.HasSuffix(body, long(3*n)), "what the handler sent")
		w.answer(head, msgp.AppendNil(nil))
		x := <-got
		require.Equal(t, long(3*n), x.body)
		require.Equal(t, long(3*n+1), x.a)
		require.Equal(t, long(3*n+2), x.b)
		require.Equal(t, long(3*n), x.again)
		w.expect(wire.TypeDone, head)
	}
}

// The memory of a long answer, and that of a long call, is there for others
// once the event has ended.
func TestMemoryOfLongMessagesIsUsedAgain(t *testing.T) {
	for name, test := range map[string]func(kong *pdk.PDK){
		"remembered": func(kong *pdk.PDK) { _, _ = kong.Request.GetRawBody() },
		"answer":     func(kong *pdk.PDK) { _, _ = kong.Nginx.GetVar("a") },
		"call":       func(kong *pdk.PDK) { _ = kong.ServiceRequest.SetRawBody(string(long(1))) },
	} {
		t.Run(name, func(t *testing.T) {
			_, socket := plain(t, server.WithoutPrefetch(), withScript(func(_ *scripted, kong *pdk.PDK) { test(kong) }))
			w := attach(t, socket)
			in := w.instance("scripted", `{}`)
			for server.TakeLong() != nil { // what other tests left
				continue
			}
			require.Eventually(t, func() bool {
				// A collection may come in between, and the race detector has
				// some of it thrown away.
				head := w.event(0, in)
				w.expect(wire.TypeCall, head)
				if name == "call" {
					w.answer(head, msgp.AppendNil(nil))
				} else {
					w.answer(head, bodyOf(long(1)))
				}
				w.expect(wire.TypeDone, head)
				return cap(server.TakeLong()) >= len(long(1))
			}, patience, time.Millisecond)
		})
	}
}

// A worker that lies answers a call of an event that it gave up: the answer's
// memory is the reader's and the handler's at once unless one leaves it alone.
func TestLongAnswerOfACancelledEvent(t *testing.T) {
	s, socket := plain(t, server.WithoutPrefetch(), withScript(func(s *scripted, kong *pdk.PDK) {
		_, _ = kong.Ctx.GetSharedString("a")
		if s.Name == "twice" {
			_, _ = kong.Ctx.GetSharedString("b")
		}
	}))
	w := attach(t, socket)
	once, twice := w.instance("scripted", `{"name":"once"}`), w.instance("scripted", `{"name":"twice"}`)
	first := w.event(0, once) // the reader waits for its answer: others run by themselves
	w.expect(wire.TypeCall, first)
	for range 50 {
		head := w.event(1, twice)
		w.expect(wire.TypeCall, head)
		w.answer(head, msgp.AppendStringFromBytes(nil, long(1)))
		w.expect(wire.TypeCall, head)
		w.cancel(head, wire.StatusDeadline, "late")
		w.answer(head, msgp.AppendStringFromBytes(nil, long(2)))
	}
	w.answer(first, msgp.AppendNil(nil))
	w.expect(wire.TypeDone, first)
	require.Zero(t, s.Stats().SessionsFailed)
}
