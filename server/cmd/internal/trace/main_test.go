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

	"github.com/kongring/kongring/server"
	"github.com/kongring/kongring/server/cmd/internal/record"
	"github.com/kongring/kongring/server/pdk"
	"github.com/kongring/kongring/shm/leaktest"
)

// wait bounds every wait of these tests.
const wait = 30 * time.Second

// variant makes this binary the plugin server of the tests: "as recorded", or one
// that does something else.
const variant = "KONGRING_TRACE_TEST_PLUGIN"

func TestMain(m *testing.M) {
	if os.Getenv(variant) != "" {
		err := server.StartServer(func() interface{} { return &moody{} }, "0.1", 1)
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	leaktest.VerifyTestMain(m)
}

// moody does what the header x-mood says.
type moody struct {
	Greeting string `json:"greeting"`
	Password string `json:"password"`
}

func (m *moody) Access(kong *pdk.PDK) {
	mood, err := kong.Request.GetHeader("X-Mood")
	if err != nil {
		return
	}
	if os.Getenv(variant) == "mended" {
		mood = "fine"
	}
	_ = kong.Response.SetHeader("x-greeting", m.Greeting)
	path, _ := kong.Request.GetPath()
	switch mood {
	case "angry":
		panic("no luck with " + path)
	case "short":
		kong.Response.Exit(403, []byte("no"), map[string][]string{"x-why": {"mood"}})
	case "gone":
		fmt.Fprintln(os.Stderr, "the plugin takes its hat")
		os.Exit(3)
	case "slow":
		<-kong.Context().Done()
	case "curious":
		_, _ = kong.Request.GetQueryArg("more")
	}
	_ = kong.Log.Warn("mood: ", mood)
}

// self is this binary's path, to be run as a plugin of a variant.
func self(t testing.TB, as string) string {
	t.Helper()
	t.Setenv(variant, as)
	path, err := os.Executable()
	require.NoError(t, err)
	return path
}

// line makes a record of lines of JSON.
func fileOf(t testing.TB, lines ...string) string {
	t.Helper()
	head := `{"kongring_trace":1,"protocol":"3.4","session":1,"log_level":5}`
	instance := `{"at":0,"type":"instance","instance":1,"plugin":"` + plugin(t) + `","entity":"e","config":{"greeting":"hi"}}`
	text := strings.Join(append([]string{head, instance}, lines...), "\n") + "\n"
	path := filepath.Join(t.TempDir(), "t")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// plugin is the name of the plugin in this binary.
func plugin(t testing.TB) string {
	path, err := os.Executable()
	require.NoError(t, err)
	return filepath.Base(path)
}

// kongring runs a subcommand of trace.
func kongring(ctx context.Context, args ...string) (out string, err error) {
	var text bytes.Buffer
	cmd := Command()
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs(args)
	cmd.SetOut(&text)
	cmd.SetErr(&text)
	err = cmd.ExecuteContext(ctx)
	return text.String(), err
}

// The lines of an event of a mood, with its name, up to its end.
func eventOf(id, mood string, more ...string) []string {
	lines := []string{
		`{"at":10,"type":"event","event":"ID","instance":1,"phase":"access"}`,
		`{"at":20,"type":"call","event":"ID","method":"kong.request.get_header","args":["x-mood"]}`,
		`{"at":30,"type":"return","event":"ID","status":"ok","value":"` + mood + `"}`,
		`{"at":40,"type":"call","event":"ID","writes":[{"method":"kong.response.set_header","args":["x-greeting","hi"]}],"method":"kong.request.get_path","args":[]}`,
		`{"at":50,"type":"return","event":"ID","status":"ok","value":"/a"}`,
	}
	lines = append(lines, more...)
	for i := range lines {
		lines[i] = strings.ReplaceAll(lines[i], "ID", id)
	}
	return lines
}

const (
	endTime = `{"at":99,"type":"end","text":"the time is over"}`
	hungUp  = `{"at":99,"type":"end","text":"the session ended"}`
	fine    = `{"at":60,"type":"done","event":"ID","status":"ok","writes":[{"method":"kong.log.warn","args":["mood: ","MOOD"]}]}`
	// What the server asks for its own log comes first.
	angry = `{"at":55,"type":"call","event":"ID","method":"kong.router.get_route","args":[]}
{"at":56,"type":"return","event":"ID","status":"ok","value":{"name":"r"}}
{"at":57,"type":"call","event":"ID","method":"kong.nginx.get_ctx","args":["request_id"]}
{"at":58,"type":"return","event":"ID","status":"ok","value":"4f7e"}
{"at":60,"type":"done","event":"ID","status":"panic","text":"no luck with /a [event 1.0.7]\nstack of the record"}`
)

func fineAs(mood string) string { return strings.ReplaceAll(fine, "MOOD", mood) }

// recorded makes a record of what a player plays to the plugin, by the command.
func recorded(t *testing.T, args []string, moods ...string) *record.Record {
	t.Helper()
	p, err := run(self(t, "as recorded"), wait)
	require.NoError(t, err)
	defer p.stop()
	w, err := attach(p.Socket, 5, wait)
	require.NoError(t, err)
	defer w.close()
	started, err := w.start(&record.Instance{Plugin: plugin(t), Config: []byte(`{"greeting":"hi","password":"hush"}`)}, 1)
	require.NoError(t, err)
	require.Empty(t, started.Status)

	path := filepath.Join(t.TempDir(), "t")
	done := make(chan error, 1)
	go func() {
		out, err := kongring(context.Background(), append([]string{"record", p.Socket, "-o", path}, args...)...)
		t.Log(out)
		done <- err
	}()
	require.Eventually(t, func() bool { _, err := os.Stat(path); return err == nil }, wait, time.Millisecond)
	for i, mood := range moods {
		end := fineAs(mood)
		if mood == "angry" {
			end = angry
		}
		lines := append(eventOf(fmt.Sprint("0.", i), mood, end), endTime)
		script, err := read(fileOf(t, lines...), nil)
		require.NoError(t, err)
		_, _ = w.play(newScript(script.Events[0], nil), started.Instance) // one may end the process
	}
	require.NoError(t, <-done)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())
	r, err := read(path, nil)
	require.NoError(t, err)
	return r
}
