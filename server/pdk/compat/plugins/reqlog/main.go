// Command reqlog is a plugin that writes a line of JSON to a file for each
// request, with the bodies where they are wanted.
package main

import (
	"encoding/json"
	"log"
	"strings"

	"github.com/Kong/go-pdk"
	"github.com/Kong/go-pdk/server"
)

func main() {
	if err := server.StartServer(New, "0.9", 12); err != nil {
		log.Fatal(err)
	}
}

// Config is what an administrator sets.
type Config struct {
	File    string            `json:"file"`
	Tags    map[string]string `json:"tags"`
	Hide    []string          `json:"hide"` // headers
	Bodies  Bodies            `json:"bodies"`
	Sampled []Rule            `json:"sampled"`
}

// Bodies says which bodies are kept, and how much of them.
type Bodies struct {
	Request  bool `json:"request"`
	Response bool `json:"response"`
	Max      int  `json:"max"`
}

// Rule leaves requests out.
type Rule struct {
	Prefix string  `json:"prefix"`
	Status []int   `json:"status"`
	Weight float64 `json:"weight"` // 0 leaves out
}

// New gives the defaults.
func New() interface{} {
	return &Config{File: "requests.log", Hide: []string{"authorization", "cookie"}, Bodies: Bodies{Max: 1024}}
}

// Entry is a line of the file.
type Entry struct {
	Method   string              `json:"method"`
	Path     string              `json:"path"`
	Query    map[string][]string `json:"query,omitempty"`
	Headers  map[string][]string `json:"headers"`
	Request  string              `json:"request,omitempty"`
	Response string              `json:"response,omitempty"`
	Status   int                 `json:"status"`
	Service  string              `json:"service,omitempty"`
	Tags     map[string]string   `json:"tags,omitempty"`
	Kong     json.RawMessage     `json:"kong,omitempty"` // what Kong's own loggers send
}

// shared is where one phase leaves for another what only it can read.
const shared = "reqlog."

// Access keeps the request's body.
func (conf Config) Access(kong *pdk.PDK) {
	if !conf.Bodies.Request {
		return
	}
	body, err := kong.Request.GetRawBody()
	if err != nil {
		_ = kong.Log.Warn("reqlog: request body: ", err.Error())
		return
	}
	keep(kong, "request", conf.cut(body))
}

// Response keeps the response's body, and says that it was kept.
func (conf Config) Response(kong *pdk.PDK) {
	if !conf.Bodies.Response {
		return
	}
	body, err := kong.ServiceResponse.GetRawBody()
	if err != nil {
		_ = kong.Log.Warn("reqlog: response body: ", err.Error())
		return
	}
	keep(kong, "response", conf.cut(body))
	_ = kong.Response.AddHeader("X-Logged", "body")
}

// Log writes the line.
func (conf Config) Log(kong *pdk.PDK) {
	text, err := kong.Log.Serialize()
	if err != nil {
		_ = kong.Log.Err("reqlog: serialize: ", err.Error())
		return
	}
	entry := conf.entry(json.RawMessage(text))
	if entry == nil {
		return
	}
	if service, err := kong.Router.GetService(); err == nil {
		entry.Service = service.Name
	}
	entry.Request, _ = kong.Ctx.GetSharedString(shared + "request")
	entry.Response, _ = kong.Ctx.GetSharedString(shared + "response")
	line, err := json.Marshal(entry)
	if err != nil || !sinkFor(conf.File).write(line) {
		_ = kong.Log.Err("reqlog: a line was lost")
	}
}

// serialized is what the plugin needs of what Kong serializes.
type serialized struct {
	Request struct {
		Method  string                     `json:"method"`
		URI     string                     `json:"uri"`
		Query   map[string]json.RawMessage `json:"querystring"`
		Headers map[string]json.RawMessage `json:"headers"`
	} `json:"request"`
	Response struct {
		Status int `json:"status"`
	} `json:"response"`
}

// entry makes the line from what Kong serialized, nil where there is to be none.
func (conf Config) entry(text json.RawMessage) *Entry {
	var s serialized
	if err := json.Unmarshal(text, &s); err != nil {
		log.Printf("reqlog: %v", err)
		return nil
	}
	path, _, _ := strings.Cut(s.Request.URI, "?")
	for _, rule := range conf.Sampled {
		if rule.Weight == 0 && rule.matches(path, s.Response.Status) {
			return nil
		}
	}
	headers := multi(s.Request.Headers)
	for _, name := range conf.Hide {
		if _, ok := headers[strings.ToLower(name)]; ok {
			headers[strings.ToLower(name)] = []string{"hidden"}
		}
	}
	return &Entry{
		Method: s.Request.Method, Path: path, Query: multi(s.Request.Query), Headers: headers,
		Status: s.Response.Status, Tags: conf.Tags, Kong: text,
	}
}

func (r Rule) matches(path string, status int) bool {
	if !strings.HasPrefix(path, r.Prefix) {
		return false
	}
	for _, s := range r.Status {
		if s == status {
			return true
		}
	}
	return len(r.Status) == 0
}

// multi takes values that are a text or a list of texts; others are left out.
func multi(in map[string]json.RawMessage) map[string][]string {
	out := map[string][]string{}
	for name, raw := range in {
		var one string
		var several []string
		if json.Unmarshal(raw, &one) == nil {
			out[name] = []string{one}
		} else if json.Unmarshal(raw, &several) == nil {
			out[name] = several
		}
	}
	return out
}

func (conf Config) cut(body []byte) string {
	if conf.Bodies.Max > 0 && len(body) > conf.Bodies.Max {
		body = body[:conf.Bodies.Max]
	}
	return string(body)
}

func keep(kong *pdk.PDK, name, text string) {
	if err := kong.Ctx.SetShared(shared+name, text); err != nil {
		_ = kong.Log.Warn("reqlog: ", name, ": ", err.Error())
	}
}
