package chaos

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// kinds are sets of kinds of answers.
type kinds uint

// The kinds of answers.
const (
	fine        kinds = 1 << iota // 200
	failed                        // 500: the handler panicked
	unavailable                   // 503: the plugin server is out of reach
	timeout                       // 504: the event's time was over
	cut                           // the connection ended before the answer did
	other                         // anything else; never allowed
)

var kindNames = []string{"200", "500", "503", "504", "cut", "other"}

func (k kinds) String() string {
	var all []string
	for i, name := range kindNames {
		if k&(1<<i) != 0 {
			all = append(all, name)
		}
	}
	return strings.Join(all, ", ")
}

// request is one that a client sends.
type request struct {
	nonce  string
	path   string            // /up or /direct
	do     map[string]string // of each server: what its plugin is to do
	body   []byte            // whole repetitions of the nonce
	echoed bool              // a 200 has the body in it
	by     []string
	expect kinds // what it gets when nothing is wrong
}

// answer is what came back, and when.
type answer struct {
	request    request
	begun, end time.Time
	kind       kinds
	header     http.Header
	body       []byte
	err        error  // of a kind that has no status, why
	worker     string // that answered, in nginx's word
}

// kindOf gives the kind of a status.
func kindOf(status int) kinds {
	switch status {
	case 200:
		return fine
	case 500:
		return failed
	case 503:
		return unavailable
	case 504:
		return timeout
	}
	return other
}

// foreign tells what in an answer is not its request's, "" where all of it is.
// What a plugin sets is there or is not in an answer that failed, but is never
// another request's.
func (a *answer) foreign() string {
	if a.kind == cut {
		return ""
	}
	for _, header := range []string{"x-asked", "x-by-east", "x-by-west", "x-got-east", "x-got-west"} {
		if got := a.header.Get(header); got != "" && got != a.request.nonce {
			return fmt.Sprintf("%s is %q", header, got)
		}
	}
	if a.kind != fine {
		return ""
	}
	if a.header.Get("x-asked") == "" {
		return "no x-asked"
	}
	for _, name := range a.request.by {
		if a.header.Get("x-by-"+name) == "" {
			return "no x-by-" + name
		}
		if a.request.path == "/up" && a.header.Get("x-got-"+name) == "" {
			return "the upstream got no x-by-" + name
		}
	}
	if a.request.echoed && string(a.body) != string(a.request.body) {
		return fmt.Sprintf("body of %d bytes is not the one of %d bytes that was sent: %.60q", len(a.body), len(a.request.body), a.body)
	}
	return ""
}

// String tells all there is to know of an answer, for who has to find out.
func (a *answer) String() string {
	what := a.kind.String()
	if a.err != nil {
		what += " (" + a.err.Error() + ")"
	}
	return fmt.Sprintf("request %s %s %v with %d bytes, from %s to %s: %s, worker %s, %v %.100q", a.request.nonce, a.request.path,
		a.request.do, len(a.request.body), a.begun.Format(clock), a.end.Format(clock), what, a.worker, a.header, a.body)
}

// clock is how times are written: to be found in the logs.
const clock = "15:04:05.000"
