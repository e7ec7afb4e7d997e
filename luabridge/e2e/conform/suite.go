package conform

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/server/wire"
)

// Place is where the suite runs: a Kong, or a host like it.
//
// Both plugins, conform (this package) and conform-lua (testdata/lua), are
// global there, with the same Config. Requests to /conform go to a service that
// answers with what it got: the body as it is, each header X-N as X-Got-N, and
// X-Upstream-Path, -Method, -Host and -Type. There are an upstream "other", a
// consumer "ann", and CONFORM_SECRET in the environment; 127.0.0.1 is trusted
// and 192.0.2.1 is not.
type Place struct {
	URL       string   // without a slash at the end
	TLSURL    string   // the same with TLS, for the phase certificate
	Out       string   // the file that both plugins write to
	Handshake string   // the file that both plugins read in the phase certificate
	Phases    []string // that it runs: of certificate, rewrite, access, response, log
	Client    *http.Client
	Carrier   Carrier
}

// Carrier says what gets lost on the way between Kong and the plugin server. The
// zero value, the rings, loses nothing.
type Carrier struct {
	NoErrors bool              // errors that Lua gives behind a nil
	NoRaised bool              // a call that raises in Lua does not come back
	Skip     map[string]string // methods that cannot be right, as in wire.Methods, and why
}

// Stock is the carrier of a Kong without the bridge, MsgPack:1. Its log phase is
// another one than that of Lua plugins, so that a place has it not.
var Stock = Carrier{
	NoErrors: true,
	NoRaised: true,
	Skip: map[string]string{
		"Client.Authenticate":        "Kong loses arguments behind a nil",
		"Request.GetBody":            "Kong loses arguments behind a nil, and the MIME type",
		"ServiceResponse.GetBody":    "Kong loses the MIME type",
		"ServiceResponse.GetHeaders": "Kong's table cannot be walked in the response phase",
	},
}

// patience bounds the wait for an answer in the file.
const patience = 20 * time.Second

// Run asks all questions in each phase that allows them, and gives the phases in
// which each method, by its name in Lua, did the same in Go.
func Run(t *testing.T, p Place) map[string][]string {
	asked, same := map[string]bool{}, map[string][]string{}
	for _, phase := range p.Phases {
		t.Run(phase, func(t *testing.T) {
			for number, c := range cases {
				if c.in(phase) {
					asked[c.name] = true
					t.Run(fmt.Sprintf("%s/%d", c.name, number), func(t *testing.T) {
						p.compare(t, phase, number)
						for _, m := range c.methods() {
							if !slices.Contains(same[m.Name], phase) {
								same[m.Name] = append(same[m.Name], phase)
							}
						}
					})
				} else {
					t.Run(fmt.Sprintf("%s/%d/forbidden", c.name, number), func(t *testing.T) { p.forbidden(t, phase, number) })
				}
			}
		})
	}
	t.Run("every method", func(t *testing.T) {
		for name, in := range methodNames() {
			if p.runs(in) {
				require.True(t, asked[name], "nobody asks %s", name)
			}
		}
	})
	return same
}

// exchange is a request with what came of it.
type exchange struct {
	status int
	header http.Header
	body   string
	answer line
}

func (p Place) compare(t *testing.T, phase string, number int) {
	c := cases[number]
	if why := p.Carrier.Skip[c.name]; why != "" {
		t.Skip("skipped: ", why)
	}
	if c.raises != "" {
		p.raised(t, phase, number)
		return
	}
	inGo, inLua := p.ask(t, "go", phase, number, !c.ends()), p.ask(t, "lua", phase, number, !c.ends())
	if c.ends() {
		inGo.answer, inLua.answer = line{}, line{}
	}
	require.Empty(t, inLua.answer.Raised, "Lua raised")
	if inLua.answer.Error != "" && p.Carrier.NoErrors {
		inGo.answer.Result = nil
	} else if inLua.answer.Error == "" {
		require.Empty(t, inGo.answer.Error, "error in Go")
	} else {
		require.Contains(t, inGo.answer.Error, inLua.answer.Error)
	}
	if c.last().Class == wire.ClassChecked {
		inLua.answer.Result = nil // true, which is no error in Go
	}
	if c.varies {
		require.NotNil(t, inGo.answer.Result)
		requireShape(t, "result", inLua.answer.Result, inGo.answer.Result)
	} else {
		require.Equal(t, scrub(inLua.answer.Result), scrub(inGo.answer.Result), "result in Lua, and in Go")
	}
	require.Equal(t, inLua.status, inGo.status, "status")
	require.Equal(t, inLua.header, inGo.header, "headers")
	require.Equal(t, inLua.body, inGo.body, "body")
}

// raised finds out whether what raises in Lua ends the event in Go, with an error
// for the call.
func (p Place) raised(t *testing.T, phase string, number int) {
	c := cases[number]
	require.Contains(t, p.ask(t, "lua", phase, number, true).answer.Raised, c.raises)
	inGo := p.ask(t, "go", phase, number, !p.Carrier.NoRaised)
	require.Equal(t, http.StatusInternalServerError, inGo.status)
	if !p.Carrier.NoRaised {
		require.Contains(t, inGo.answer.Error, c.raises)
	}
}

// unchecked are methods that look at no phase in Lua, and so work in the log phase
// of a plugin in Lua: the bridge has functions for them.
const unchecked = "kong.nginx."

// refusal is what a method says where it may not be called: Kong, or nginx, which
// has no variables during a handshake.
func refusal(phase string) string {
	kong := "function cannot be called in " + phase + " phase"
	if phase == "certificate" {
		return kong + "|API disabled in the current context"
	}
	return kong
}

// forbidden finds out whether the table of phases is right: a phase that it has
// not is one that Kong forbids.
func (p Place) forbidden(t *testing.T, phase string, number int) {
	c := cases[number]
	in := slices.Index(wire.PhaseNames[:], phase)
	m := c.methods()
	first := slices.IndexFunc(m, func(m wire.Method) bool { return !m.Phases.Has(in) })
	if phase == "log" && strings.HasPrefix(m[first].Name, unchecked) {
		return
	}
	why := refusal(phase)
	if m[first].Name == "kong.service.set_target" && phase == "rewrite" {
		why = "attempt to index field 'balancer_data'"
	}
	require.Regexp(t, why, p.ask(t, "lua", phase, number, true).answer.Raised)
}

var requestID = regexp.MustCompile(`[0-9a-f]{32}`)

func (p Place) ask(t *testing.T, side, phase string, number int, answers bool) (x exchange) {
	t.Helper()
	c := cases[number]
	calls, err := json.Marshal(map[string]interface{}{
		"calls": c.calls, "form": c.last().Result, "pick": c.pick, "ends": !answers,
	})
	require.NoError(t, err)
	id := fmt.Sprintf("%s-%s-%d", phase, side, number)
	asked := map[string]string{
		headerSide: side, headerPhase: phase, headerCase: strconv.Itoa(number), headerID: id,
		headerCalls: base64.StdEncoding.EncodeToString(calls),
	}
	url := p.URL
	if phase == "certificate" {
		text, err := json.Marshal(asked)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(p.Handshake, text, 0o666))
		url = p.TLSURL
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/conform/a%20b/../c?a=1&a=2&flag&z=%20",
		strings.NewReader("f=1&f=2&g=%20"))
	require.NoError(t, err)
	r.Close = phase == "certificate" // the next one has a handshake of its own
	for name, value := range asked {
		r.Header.Set(name, value)
	}
	for name, value := range map[string]string{
		"content-type": "application/x-www-form-urlencoded", "x-forwarded-proto": "https",
		"x-forwarded-host": "outside.test:8443", "x-forwarded-path": "/outside", "x-forwarded-prefix": "/out", "accept": "text/plain",
	} {
		r.Header.Set(name, value)
	}
	r.Header["X-Twice"] = []string{"one", "two"}
	response, err := p.Client.Do(r)
	require.NoError(t, err)
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	x = exchange{status: response.StatusCode, header: response.Header, body: requestID.ReplaceAllString(string(body), "ID")}
	for name := range x.header {
		if differs.MatchString(name) {
			delete(x.header, name)
		}
	}
	if answers {
		x.answer = p.read(t, id)
	}
	return x
}

// read waits for an answer.
func (p Place) read(t *testing.T, id string) line {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		all, err := os.ReadFile(p.Out)
		require.NoError(t, err)
		for text := range bytes.Lines(all) {
			var l line
			if !bytes.HasSuffix(text, []byte("\n")) || !bytes.Contains(text, []byte(`"`+id+`"`)) {
				continue
			}
			require.NoError(t, json.Unmarshal(text, &l), "%s", text)
			if l.ID == id {
				return l
			}
		}
		require.True(t, time.Now().Before(deadline), "no answer to %s", id)
		select {
		case <-t.Context().Done():
		case <-time.After(time.Millisecond):
		}
	}
}
