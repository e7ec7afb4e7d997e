package server_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tinylib/msgp/msgp"

	"github.com/kongring/kongring/server/pdk"
	"github.com/kongring/kongring/server/wire"
)

// A panic is one record that has all by which one looks for it.
func TestRecordOfAPanic(t *testing.T) {
	log := new(record)
	_, socket := start(t, log.option(), withScript(func(*scripted, *pdk.PDK) { panic("boom\nand more") }))
	w := attach(t, socket)
	in := w.instance("scripted", `{}`)
	answers := map[wire.MethodID][]byte{
		wire.RouterGetRoute: {0x81, 0xa4, 'n', 'a', 'm', 'e', 0xa1, 'r'},
		wire.NginxGetCtx:    {0xc0},
		wire.NginxGetVar:    msgp.AppendString(nil, "4f7e"),
	}
	head := w.event(0, in)
	for {
		got, _ := w.receive()
		if got.Type == wire.TypeDone {
			break
		}
		w.answer(head, answers[wire.MethodID(got.Arg&wire.ArgMethod)])
	}
	lines := log.lines(t, "handler panicked")
	require.Len(t, lines, 1)
	line := lines[0]
	require.Equal(t, "scripted", line["plugin"])
	require.Equal(t, "entity", line["entity"])
	require.Equal(t, "access", line["phase"])
	require.Equal(t, "r", line["route"])
	require.Equal(t, "4f7e", line["request_id"])
	require.Equal(t, "boom\nand more", line["panic"])
	require.Contains(t, line["stack"], "panic_test.go")
	require.Regexp(t, `^1\.0\.\d+$`, line["event"])

	// In a phase without a route it is not asked for, as Kong would raise; and who
	// has gone is not asked at all.
	head = w.event(0, in)
	w.expect(wire.TypeCall, head)
	w.cancel(head, wire.StatusDeadline, "too late")
	require.Eventually(t, func() bool { return len(log.lines(t, "handler panicked")) == 2 }, patience, 1e6)
	require.NotContains(t, log.lines(t, "handler panicked")[1], "request_id")
}
