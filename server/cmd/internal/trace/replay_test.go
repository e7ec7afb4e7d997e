package trace

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/server/cmd/internal/exit"
	"github.com/kongring/kongring/server/cmd/internal/record"
)

// replayed replays events of the given moods.
func replayed(t *testing.T, as string, lines ...string) (out string, err error) {
	t.Helper()
	return kongring(context.Background(), "replay", fileOf(t, lines...), self(t, as), "--timeout", "5s")
}

func with(id, mood, end string) []string { return eventOf(id, mood, end) }

func TestReplayAgrees(t *testing.T) {
	var lines []string
	lines = append(lines, with("0.1", "fine", fineAs("fine"))...)
	lines = append(lines, with("0.2", "angry", angry)...)
	lines = append(lines, with("0.3", "short",
		`{"at":60,"type":"exit","event":"ID","method":"kong.response.exit","args":[403,"no",{"x-why":["mood"]}]}`)...)
	out, err := replayed(t, "as recorded", append(lines, endTime)...)
	require.NoError(t, err, out)
	require.Contains(t, out, "event 0.2: access of "+plugin(t)+" agrees: panic: no luck with /a [event ")
	require.Contains(t, out, "main_test.go", "the stack")
	require.Contains(t, out, `event 0.3: access of `+plugin(t)+` agrees: exit   kong.response.exit(403, "no", {"x-why": {"mood"}})`)
	require.Contains(t, out, "3 agree with the record, 0 differ\n")
}

func TestReplayDiffers(t *testing.T) {
	for name, tc := range map[string]struct {
		as    string
		lines []string
		says  string
	}{
		"the end": {"mended", with("0.1", "angry", angry), `it ended with done, the record has panic: no luck with /a`},
		"another panic": {"as recorded", with("0.1", "angry", strings.ReplaceAll(angry, "no luck", "much luck")),
			"it ended with panic: no luck with /a, the record has panic: much luck with /a"},
		"a call that the record has not": {"as recorded", with("0.1", "curious", fineAs("curious")),
			`the plugin asked kong.request.get_query_arg("more"), the record has kong.log.warn("mood: ", "curious")`},
		"a call that the plugin does not make": {"as recorded", with("0.1", "fine",
			`{"at":60,"type":"call","event":"ID","method":"kong.request.get_host","args":[]}`+"\n"+
				`{"at":61,"type":"return","event":"ID","status":"ok","value":"h"}`+"\n"+fineAs("fine")),
			"the record has kong.request.get_host(), which the plugin did not call"},
		"a write": {"as recorded", strings.Split(strings.ReplaceAll(strings.Join(with("0.1", "fine", fineAs("fine")), "\n"), `"hi"`, `"ho"`), "\n"),
			`the plugin wrote kong.response.set_header("x-greeting", "hi"), the record has kong.response.set_header("x-greeting", "ho")`},
		"silence":    {"as recorded", with("0.1", "slow", fineAs("slow")), "the plugin is silent for 5s, the record has kong.log.warn"},
		"its death":  {"as recorded", with("0.1", "gone", fineAs("gone")), "the process ended: exit status 3"},
		"no failure": {"mended", append(with("0.1", "angry", angry), with("0.2", "fine", fineAs("fine"))...), "1 agree with the record, 1 differ\n"},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := replayed(t, tc.as, append(tc.lines, endTime)...)
			require.ErrorIs(t, err, exit.ErrFindings, out)
			require.Contains(t, out, tc.says)
		})
	}
}

// The order counts, and who takes another one is told once.
func TestReplayInAnotherOrder(t *testing.T) {
	lines := []string{
		`{"at":10,"type":"event","event":"0.1","instance":1,"phase":"access"}`,
		`{"at":40,"type":"call","event":"0.1","writes":[{"method":"kong.response.set_header","args":["x-greeting","hi"]}],"method":"kong.request.get_path","args":[]}`,
		`{"at":50,"type":"return","event":"0.1","status":"ok","value":"/a"}`,
		`{"at":51,"type":"call","event":"0.1","method":"kong.request.get_header","args":["x-mood"]}`,
		`{"at":52,"type":"return","event":"0.1","status":"ok","value":"fine"}`,
		strings.ReplaceAll(fineAs("fine"), "ID", "0.1"), endTime,
	}
	out, err := replayed(t, "as recorded", lines...)
	require.ErrorIs(t, err, exit.ErrFindings)
	require.Contains(t, out, `the plugin asked kong.request.get_header("X-Mood") before kong.response.set_header("x-greeting", "hi")`)
	require.Equal(t, 3, strings.Count(out, "\n"), out)
}

// Values that came along answer the calls that they saved.
func TestReplayOfPrefetched(t *testing.T) {
	lines := []string{
		`{"at":10,"type":"event","event":"0.1","instance":1,"phase":"access","values":[` +
			`{"method":"kong.request.get_header","args":["x-mood"],"value":"fine"},{"method":"kong.request.get_path","args":[],"value":"/"}]}`,
		`{"at":60,"type":"done","event":"0.1","status":"ok","writes":[{"method":"kong.response.set_header","args":["x-greeting","hi"]},` +
			`{"method":"kong.log.warn","args":["mood: ","fine"]}]}`, endTime,
	}
	out, err := replayed(t, "as recorded", lines...)
	require.NoError(t, err, out)

	// But not those that a write of the event's own may have changed.
	lines[0] = strings.ReplaceAll(lines[0], "kong.request.get_path", "kong.response.get_header")
	s := newScript(mustRead(t, lines...).Events[0], nil)
	asks := record.Call{Method: "kong.response.get_header"}
	require.NotNil(t, s.answer(asks))
	s.write(record.Call{Method: "kong.response.set_header", Args: []any{"x-greeting", "hi"}})
	require.Nil(t, s.answer(asks))
}

func mustRead(t *testing.T, lines ...string) *record.Record {
	r, err := read(fileOf(t, lines...), nil)
	require.NoError(t, err)
	return r
}

// What was left out is a text, and the same as any.
func TestReplayOfRedacted(t *testing.T) {
	lines := with("0.1", "fine", fineAs("fine"))
	for i := range lines {
		lines[i] = strings.ReplaceAll(strings.ReplaceAll(lines[i], `"hi"`, `{"$redacted":2}`), `"fine"`, `{"$redacted":4}`)
	}
	text := fileOf(t, append(lines, endTime)...)
	out, err := kongring(context.Background(), "replay", text, self(t, "as recorded"))
	require.NoError(t, err, out)
}

// An event that Kong gave up is given up again.
func TestReplayOfGivenUp(t *testing.T) {
	out, err := replayed(t, "as recorded", append(with("0.1", "slow",
		`{"at":60,"type":"cancel","event":"ID","status":"deadline","text":"the event's time is over"}`), endTime)...)
	require.NoError(t, err, out)
	require.Contains(t, out, "given up by Kong: deadline: the event's time is over")
	raised := with("0.1", "fine", `{"at":60,"type":"cancel","event":"ID","status":"lua error","text":"no path"}`)
	raised = append(raised[:4:4], raised[5])
	out, err = replayed(t, "as recorded", append(raised, endTime)...)
	require.NoError(t, err, out)
	require.Contains(t, out, "given up by Kong: lua error: no path")
}

// A process that the plugin ended when it was recorded ends again.
func TestReplayOfADeath(t *testing.T) {
	out, err := replayed(t, "as recorded", with("0.1", "gone", hungUp)...)
	require.NoError(t, err, out)
	require.Contains(t, out, "agrees: the process ended: exit status 3\n    the plugin takes its hat")
}

// Instances that did not start are replayed as well.
func TestReplayOfAStart(t *testing.T) {
	start := func(config, status string) string {
		return `{"at":1,"type":"instance","plugin":"` + plugin(t) + `","config":` + config + `,"status":"bad config","text":"config of plugin ` +
			plugin(t) + `: field \"greeting\" does not fit the Go type string"}`
	}
	out, err := replayed(t, "as recorded", start(`{"greeting":5}`, "bad config"), endTime)
	require.NoError(t, err, out)
	require.Contains(t, out, "agrees: bad config: ")
	out, err = replayed(t, "as recorded", start(`{"greeting":"hi"}`, "bad config"), endTime)
	require.ErrorIs(t, err, exit.ErrFindings)
	require.Contains(t, out, "it ended with an instance, the record has bad config: ")

	other := fileOf(t, append(with("0.1", "fine", fineAs("fine")), endTime)...)
	out, err = kongring(context.Background(), "replay", other, self(t, "as recorded"), "--", "-plugin", "none")
	require.Error(t, err, out)
}

func TestReplayErrors(t *testing.T) {
	whole := fileOf(t, append(with("0.1", "fine", fineAs("fine")), endTime)...)
	t.Setenv(variant, "as recorded")
	for says, args := range map[string][]string{
		"no plugin binary: ": {whole, "no-such-binary"},
		"is no plugin server of kongring, or cannot start: exit":                             {whole, "/bin/false"},
		"no FILE: see trace replay --help":                                                   {},
		"no BINARY: see trace replay --help":                                                 {whole},
		`"c" is one argument too many`:                                                       {whole, "b", "c"},
		"flag --timeout=0s: want a time":                                                     {whole, "b", "--timeout", "0s"},
		"no file none: kongring trace record makes one":                                      {"none", "b"},
		`nothing to replay: the record has 1 events, of which none is whole and named "9.9"`: {whole, "b", "--event", "9.9"},
	} {
		out, err := kongring(context.Background(), append([]string{"replay"}, args...)...)
		require.ErrorContains(t, err, says, out)
		require.Empty(t, out)
	}
	for says, path := range map[string]string{"is a folder, want the file of a record": t.TempDir(), "it is empty": os.DevNull} {
		_, err := kongring(context.Background(), "show", path)
		require.ErrorContains(t, err, says)
	}
	cut := fileOf(t, with("0.1", "fine", fineAs("fine"))...)
	_, err := kongring(context.Background(), "replay", cut, "b")
	require.ErrorContains(t, err, "it was cut off behind line 8")
	holes := fileOf(t, append(with("0.1", "fine", `{"at":55,"type":"lost","frames":1}`+"\n"+fineAs("fine")), endTime)...)
	_, err = kongring(context.Background(), "replay", holes, "b")
	require.ErrorContains(t, err, "nothing to replay")
}

// Ctrl-C ends the plugin's process, and the command with it.
func TestReplayIsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	path := fileOf(t, append(with("0.1", "slow", fineAs("slow")), endTime)...)
	time.AfterFunc(100*time.Millisecond, func() { cancel(exit.Interrupted) })
	_, err := kongring(ctx, "replay", path, self(t, "as recorded"), "--timeout", "1h")
	require.ErrorIs(t, err, context.Canceled)
}

// What the command records is what was said.
func TestRecord(t *testing.T) {
	const messages = 6 + 10 + 6 // of events of these moods
	r := recorded(t, []string{"--values", "--for", "1h", "--frames", fmt.Sprint(messages)}, "fine", "angry", "short")
	require.Len(t, r.Events, 3)
	require.Equal(t, record.EndFrames, r.End)
	require.Equal(t, "panic", r.Events[1].End.Status)
	require.Equal(t, record.TypeExit, r.Events[2].End.Type)
	require.JSONEq(t, `{"greeting":"hi","password":"hush"}`, string(r.Instances[0].Config))

	r = recorded(t, []string{"--for", "1h"}, "gone")
	require.Equal(t, record.EndHangUp, r.End)
	require.JSONEq(t, `{"greeting":"hi","password":"redacted"}`, string(r.Instances[0].Config))

	require.Equal(t, record.EndTime, recorded(t, []string{"--for", "1ms"}).End)
}

func TestRecordErrors(t *testing.T) {
	p, err := run(self(t, "as recorded"), wait)
	require.NoError(t, err)
	defer p.stop()
	dir := t.TempDir()
	there := fileOf(t, endTime)
	out := filepath.Join(dir, "t")
	for says, args := range map[string][]string{
		"no SOCKET: see trace record --help":           {"-o", out},
		"no -o FILE: name the file to write":           {p.Socket},
		"flag --for=-1s: want a time":                  {p.Socket, "-o", out, "--for", "-1s"},
		"flags --frames and --size: want 1 or more":    {p.Socket, "-o", out, "--frames", "0"},
		"no plugin server listens at " + dir + "/none": {filepath.Join(dir, "none"), "-o", out},
		"no worker is attached to " + p.Socket:         {p.Socket, "-o", out},
	} {
		_, err := kongring(context.Background(), append([]string{"record"}, args...)...)
		require.ErrorContains(t, err, says)
	}
	w, err := attach(p.Socket, 5, wait)
	require.NoError(t, err)
	defer w.close()
	_, err = kongring(context.Background(), "record", p.Socket, "-o", out, "--worker", "7")
	require.ErrorContains(t, err, "no such worker or session: kongring top")
	_, err = kongring(context.Background(), "show", p.Socket)
	require.ErrorContains(t, err, "is a socket, want the file of a record")
	_, err = kongring(context.Background(), "record", p.Socket, "-o", there)
	require.ErrorContains(t, err, "is there already: name another file")

	second, err := attach(p.Socket, 5, wait)
	require.NoError(t, err)
	defer second.close()
	_, err = kongring(context.Background(), "record", p.Socket, "-o", out)
	require.ErrorContains(t, err, "2 workers are attached: choose one by --worker, such as --worker 0")

	// Ctrl-C ends a record that is whole.
	ctx, cancel := context.WithCancelCause(context.Background())
	time.AfterFunc(100*time.Millisecond, func() { cancel(exit.Interrupted) })
	_, err = kongring(ctx, "record", p.Socket, "-o", out, "--session", "1", "--for", "1h")
	require.ErrorIs(t, err, context.Canceled)
	r, err := read(out, nil)
	require.NoError(t, err)
	require.Equal(t, record.EndAsked, r.End)
}

func TestShow(t *testing.T) {
	lines := with("0.1", "fine", fineAs("fine"))
	lines[0] = `{"at":1500,"type":"event","event":"0.1","instance":1,"phase":"access","values":[` +
		`{"method":"kong.request.get_host","args":[],"value":{"$redacted":11}},{"method":"kong.request.get_query_arg","args":["a"],"missing":true}]}`
	for i := range lines[1:] {
		lines[i+1] = strings.Replace(lines[i+1], `"at":`, `"at":15`, 1)
	}
	lines = append(lines, strings.ReplaceAll(`{"at":2000,"type":"event","event":"0.2","instance":1,"phase":"log"}`, "ID", "0.2"),
		`{"at":2010,"type":"done","event":"0.2","status":"panic","text":"\u001b[2J\ngoroutine 1"}`, endTime)
	out, err := kongring(context.Background(), "show", fileOf(t, lines...))
	require.NoError(t, err)
	require.Equal(t, `session 1 of worker 0 over the , protocol 3.4, 0001-01-01 00:00:00 UTC
instance 1: plugin `+plugin(t)+`, {"greeting":"hi"}

event 0.1: access of `+plugin(t)+`, instance 1, 1.500 ms after the start
          along  kong.request.get_host() = ‹11 bytes›
          along  kong.request.get_query_arg("a") = could not be had
      20  call   kong.request.get_header("x-mood") = "fine"  (10)
      40  write  kong.response.set_header("x-greeting", "hi")
      40  call   kong.request.get_path() = "/a"  (10)
      60  write  kong.log.warn("mood: ", "fine")
      60  done

event 0.2: log of `+plugin(t)+`, instance 1, 2.000 ms after the start
      10  panic: \x1b[2J
          goroutine 1

2 events; the time is over
`, out)
	one, err := kongring(context.Background(), "show", fileOf(t, lines...), "--event", "0.2", "--width", "20")
	require.NoError(t, err)
	require.NotContains(t, one, "0.1:")
	_, err = kongring(context.Background(), "show", fileOf(t, lines...), "--event", "0.9")
	require.ErrorContains(t, err, `no event "0.9" in the record`)
	_, err = kongring(context.Background(), "show", fileOf(t, endTime), "--width", "3")
	require.ErrorContains(t, err, "flag --width=3: want 20 or more")
}

// Nothing in a record reaches the terminal but text.
func TestShowIsPrintable(t *testing.T) {
	evil := "\x1b]0;x\x07\u009b2J"
	var text bytes.Buffer
	r := mustRead(t, endTime)
	r.End, r.Carrier, r.Protocol = evil, evil, evil
	r.Instances[0].Plugin, r.Instances[0].Config = evil, []byte(evil)
	r.Events = []*record.Event{{ID: evil, Instance: r.Instances[0], Values: []record.Value{{Value: map[string]any{evil: evil}}},
		Steps: []record.Step{{Call: record.Call{Args: []any{evil, []any{evil}}}, Answered: true, Status: "failed", Text: evil}},
		End:   record.Line{Type: record.TypeCancel, Text: evil}}}
	require.NoError(t, show(&text, r, "", 1000))
	for _, c := range text.String() {
		require.True(t, c == '\n' || c >= ' ' && c != 0x7f && (c < 0x80 || c > 0x9f), "%q", c)
	}
}
