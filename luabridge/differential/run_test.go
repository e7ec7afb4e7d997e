package differential_test

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/luabridge/differential/program"
)

// clients is how many requests are under way at a time.
const clients = 16

// run runs programs and gives what came of each, and the lines of the log that
// are of no program that can be told.
func (b *bed) run(names []string) (map[string]*outcome, []string) {
	b.t.Helper()
	outcomes, wheres := b.send(names)
	b.settle()

	for _, r := range b.readRecords() {
		o := outcomes[r.Name]
		if o == nil {
			continue // of an earlier run
		}
		if _, ran := o.Seen[r.Phase]; ran {
			o.Twice = append(o.Twice, r.Phase)
		}
		for i, s := range r.Seen {
			r.Seen[i] = wheres[r.Name].plain(s)
		}
		o.Seen[r.Phase] = r.Seen
	}
	text, err := b.Host.ErrorLog()
	require.NoError(b.t, err)
	return outcomes, sortLines(text, outcomes)
}

// send sends the requests of programs, some at a time.
func (b *bed) send(names []string) (map[string]*outcome, map[string]where) {
	outcomes := make(map[string]*outcome, len(names))
	wheres := make(map[string]where, len(names))
	var mu sync.Mutex
	var wg sync.WaitGroup
	next := make(chan string)
	for range clients {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for name := range next {
				o, w := b.request(name)
				mu.Lock()
				outcomes[name], wheres[name] = o, w
				mu.Unlock()
			}
		}()
	}
	for _, name := range names {
		next <- name
	}
	close(next)
	wg.Wait()
	return outcomes, wheres
}

// request sends the request of a program.
func (b *bed) request(name string) (*outcome, where) {
	o := &outcome{Seen: map[program.Phase][]program.Seen{}}
	w := where{from: seconds()}
	p, err := program.New(name)
	if err != nil {
		panic(err)
	}
	r, err := http.NewRequestWithContext(b.ctx, p.Method, b.Host.URL()+p.Path(), strings.NewReader(p.Body))
	if err != nil {
		panic(err)
	}
	r.URL.RawQuery, r.Host = p.Query, "kong.test"
	for name, values := range p.Header {
		r.Header[name] = values
	}
	r = r.WithContext(httptrace.WithClientTrace(b.ctx, &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) {
		w.clientPort = portOf(i.Conn.LocalAddr().String())
	}}))
	response, err := b.Client.Do(r)
	if err == nil {
		var body []byte
		body, err = io.ReadAll(response.Body)
		err = errors.Join(err, response.Body.Close())
		o.Status, o.Header, o.Body = response.StatusCode, response.Header, string(body)
		o.Header.Del("Date")
	}
	if err != nil {
		o.Failed = err.Error()
	}
	w.port, w.to = portOf(b.Host.Addr()), seconds()
	o.Upstream = b.upstream.take(name)
	for _, a := range o.Upstream {
		if a.Header.Get("X-Forwarded-Port") == w.port {
			a.Header.Set("X-Forwarded-Port", "the host's port")
		}
	}
	return o, w
}

func portOf(address string) string {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		panic(err)
	}
	return port
}

func seconds() float64 { return float64(time.Now().UnixMilli()) / 1000 }

// readRecords gives what the handlers wrote down so far.
func (b *bed) readRecords() (records []program.Record) {
	text, err := os.ReadFile(b.records)
	require.NoError(b.t, err)
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		var r program.Record
		if line != "" {
			require.NoError(b.t, json.Unmarshal([]byte(line), &r))
			records = append(records, r)
		}
	}
	return records
}

var (
	lineStart = regexp.MustCompile(`(?m)^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[`)
	lineHead  = regexp.MustCompile(`^\S+ \S+ (\[\w+\]) \d+#\d+: (?:\*\d+ )?`)
	// The place in the source: the same write is made from another line when
	// it was posted.
	linePlace = regexp.MustCompile(`^(?:\[kong\] \S+|\[lua\] \S+ (?:\S+\(\): )?) ?`)
	lineTail  = regexp.MustCompile(`(?s), (?:request_id: |context: |client: ).*$`)
	lineOf    = regexp.MustCompile(`request: "\S+ /s\d+/([^ ?]+)`)
	luaPlace  = regexp.MustCompile(`\S+\.lua:\d+: `)
	temporary = regexp.MustCompile(`( to a temporary file) \S+`)
	lineSays  = regexp.MustCompile(program.Marker + `([^;]+);`)
)

// withoutPlaces takes out of a text which line of Lua said it, and the names of
// nginx's temporary files.
func withoutPlaces(text string) string {
	return temporary.ReplaceAllString(luaPlace.ReplaceAllString(text, ""), "$1")
}

// sortLines puts the lines of nginx's error log with their programs, and gives
// those that tell of a plugin but not of a program: failures of log handlers.
func sortLines(text string, outcomes map[string]*outcome) (rest []string) {
	starts := lineStart.FindAllStringIndex(text, -1)
	for i, at := range starts {
		end := len(text)
		if i+1 < len(starts) {
			end = starts[i+1][0]
		}
		line := strings.TrimSuffix(text[at[0]:end], "\n")
		match := lineOf.FindStringSubmatch(line)
		if match == nil {
			match = lineSays.FindStringSubmatch(line)
		}
		head := lineHead.FindStringSubmatch(line)
		plain := lineTail.ReplaceAllString(line[len(head[0]):], "")
		plain, _, _ = strings.Cut(plain, "\nstack traceback:")
		plain = head[1] + " " + withoutPlaces(linePlace.ReplaceAllString(plain, ""))
		switch {
		case match != nil && outcomes[match[1]] != nil:
			o := outcomes[match[1]]
			o.Log = append(o.Log, plain)
		case match == nil && strings.Contains(line, "plugin "):
			rest = append(rest, plain)
		}
	}
	return rest
}
