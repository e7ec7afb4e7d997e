package differential_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/kongring/kongring/luabridge/differential/program"
	"github.com/kongring/kongring/server/pdk/bridge"
	"github.com/kongring/kongring/server/wire"
)

// outcome is all that came of a program.
type outcome struct {
	Status   int
	Header   http.Header
	Body     string
	Failed   string // why the client has no response
	Upstream []arrived
	Log      []string
	Seen     map[program.Phase][]program.Seen
	Twice    []program.Phase // whose handler ran more than once
}

// where tells what is another at each time: values that are or hold it are
// made the same.
type where struct {
	port, clientPort string
	from, to         float64 // seconds
}

// loaded is when the host read its configuration.
var loaded = regexp.MustCompile(`("(?:created|updated)_at"):[\d.e+]+`)

// plain makes a value that a plugin saw the same for all beds.
func (w where) plain(s program.Seen) program.Seen {
	s.Err = withoutPlaces(s.Err)
	method, _, _ := strings.Cut(s.Call, "(")
	switch method {
	case "Request.GetPort", "Request.GetForwardedPort":
		if s.Value == w.port {
			s.Value = "the host's port"
		}
	case "Client.GetPort", "Client.GetForwardedPort":
		if s.Value == w.clientPort {
			s.Value = "the client's port"
		}
	case "Nginx.ReqStartTime":
		if at, err := strconv.ParseFloat(s.Value, 64); err == nil && w.from-1 <= at && at <= w.to+1 {
			s.Value = "the request's time"
		}
	case "Log.Serialize":
		s.Value = w.plainLine(s.Value)
	}
	s.Value = loaded.ReplaceAllString(s.Value, "$1:0")
	return s
}

// plainLine does so for what kong.log.serialize gave.
func (w where) plainLine(value string) string {
	text, err := strconv.Unquote(value)
	var line object
	if err != nil || json.Unmarshal([]byte(text), &line) != nil {
		return value
	}
	delete(line, "latencies")
	delete(line, "started_at")
	if request, ok := line["request"].(object); ok {
		delete(request, "id")
		if url, ok := request["url"].(string); ok {
			request["url"] = strings.Replace(url, ":"+w.port, ":PORT", 1)
		}
	}
	out, err := json.Marshal(line)
	if err != nil {
		return err.Error()
	}
	return string(out)
}

// differs says how an outcome differs from the one without savings, "" if it
// does not.
//
// With posted writes, a plugin hears of a refused one late: what it sees from
// there on is its own, as long as an end that it sees has the same reason, or is
// its own exit.
func (o outcome) differs(want outcome, p *program.Program, posted bool) string {
	for _, d := range []struct {
		what      string
		got, want interface{}
	}{
		{"the client's status", o.Status, want.Status}, {"the client's headers", o.Header, want.Header},
		{"the client's body", o.Body, want.Body}, {"the client's failure", o.Failed, want.Failed},
		{"the upstream's request", o.Upstream, want.Upstream}, {"the log", o.Log, want.Log},
		{"handlers that ran twice", o.Twice, want.Twice},
	} {
		got, want := fmt.Sprintf("%#v", d.got), fmt.Sprintf("%#v", d.want)
		if got != want {
			return fmt.Sprintf("%s: %s\n  without savings: %s", d.what, got, want)
		}
	}
	for _, phase := range program.Phases {
		if d := seenDiffers(o.Seen[phase], want.Seen[phase], p.Writes(phase), posted); d != "" {
			return fmt.Sprintf("phase %s, %s", phase, d)
		}
	}
	return ""
}

// exited is what a plugin hears that calls on after its exit.
var exited = fmt.Sprintf("%v: it ended with %v", bridge.ErrOver, wire.ResponseExit)

func seenDiffers(got, want []program.Seen, writes []bool, posted bool) string {
	if len(got) != len(want) {
		return fmt.Sprintf("%d steps ran\n  without savings: %d", len(got), len(want))
	}
	refused, reasons := len(want), []string{}
	for i, s := range want {
		if s.Over {
			if writes[i] && posted {
				refused = i
			}
			reasons = append(reasons, s.Err)
			break
		}
	}
	for i := range got {
		switch {
		case i < refused && got[i] == want[i]:
		case i >= refused && (!got[i].Over || slices.Contains(reasons, got[i].Err)):
			if strings.HasPrefix(got[i].Call, "Response.Exit") {
				reasons = append(reasons, exited)
			}
		default:
			return fmt.Sprintf("step %d: %+v\n  without savings: %+v", i, got[i], want[i])
		}
	}
	return ""
}
