package program

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
)

// dice draws arguments.
type dice struct {
	*rand.Rand
	// ordered programs cut maps of headers short; they set one header at a
	// time, as the order of several is nobody's.
	ordered bool
	// Headers that the programs of a shape have most to do with, so that they
	// read what they wrote.
	request, response []string
}

// newDice makes the dice of a program or a shape; -1 is no shape.
func newDice(seed, stream uint64, shape int) *dice {
	d := &dice{Rand: rand.New(rand.NewPCG(seed, stream)), request: requestHeaders, response: responseHeaders}
	if shape >= 0 {
		d.ordered = shape%2 == 0
		d.request = []string{requestHeaders[shape%len(requestHeaders)], requestHeaders[shape*7%len(requestHeaders)]}
		d.response = []string{responseHeaders[shape/3%len(responseHeaders)]}
	}
	return d
}

func pick[T any](d *dice, from ...T) T { return from[d.IntN(len(from))] }

// long names: their lengths have a byte of their own in a message, which looks
// like a letter.
var (
	long65 = "x-" + strings.Repeat("l", 63)
	long95 = "x-" + strings.Repeat("m", 93)
)

// requestHeaders are those that clients send and plugins read and write. What
// frames the body is not among them.
var requestHeaders = []string{
	"x-a", "x-b", "x_under", "x-dash", "x-multi", "x-comma", "x_comma", "host", "accept", "user-agent",
	"x-forwarded-proto", "x-forwarded-host", "x-forwarded-port", "x-forwarded-for", "x-real-ip", "cookie",
	"authorization", "x-none", long65, long95,
}

// responseHeaders likewise; date is left out, it says when.
var responseHeaders = []string{
	"x-a", "x-up", "x_under", "x-multi", "content-type", "server", "set-cookie", "cache-control", "x-none",
	"vary", long65, long95,
}

// odd writes a header's name in another way: case, and dashes for underscores.
func (d *dice) odd(name string) string {
	b := []byte(name)
	way := d.IntN(6)
	for i, c := range b {
		letter := 'a' <= c && c <= 'z'
		switch {
		case way == 1 && letter && (i == 0 || b[i-1] == '-'),
			way == 2 && letter, way == 3 && letter && d.IntN(2) == 0:
			b[i] = c - 'a' + 'A'
		case way == 4 && c == '-':
			b[i] = '_'
		case way == 5 && c == '_':
			b[i] = '-'
		}
	}
	return string(b)
}

func (d *dice) requestHeader() string  { return d.header(d.request, requestHeaders) }
func (d *dice) responseHeader() string { return d.header(d.response, responseHeaders) }

func (d *dice) header(most, all []string) string {
	if d.IntN(4) > 0 {
		all = most
	}
	return d.odd(pick(d, all...))
}

// value makes a header's value that suits its name.
func (d *dice) value(name string) string {
	switch strings.ReplaceAll(strings.ToLower(name), "_", "-") {
	case "host":
		return pick(d, "kong.test", "Other.test", "third.test")
	case "x-forwarded-proto":
		return pick(d, "http", "https", "HTTPS", "ws")
	case "x-forwarded-host":
		return pick(d, "front.test", "Front.test:8443", "u@front.test")
	case "x-forwarded-port":
		return pick(d, "80", "8443", "none", "70000")
	case "x-forwarded-for", "x-real-ip":
		return pick(d, "10.0.0.1", "192.0.2.7", "10.0.0.1, 10.0.0.2")
	case "content-type":
		return pick(d, "text/plain", "application/json", "text/html; charset=utf-8")
	}
	return pick(d, "", "v", "1", "a, b", "über", "tr\xff\xfe", "  spaced  ", "0x10", strings.Repeat("long ", 60)+".",
		fmt.Sprint("n", d.IntN(1000)))
}

// several makes a map of headers. Their order is nobody's, so that no two names
// in it are one header's.
func (d *dice) several(one func() string) map[string][]string {
	out, folded := map[string][]string{}, map[string]bool{}
	most := 4
	if d.ordered {
		most = 2
	}
	for range d.IntN(most) {
		name := one()
		f := strings.ReplaceAll(strings.ToLower(name), "_", "-")
		if folded[f] {
			continue
		}
		folded[f] = true
		values := []string{}
		for range d.IntN(3) {
			values = append(values, d.value(name))
		}
		if f == "host" || f == "content-type" || f == "server" {
			values = []string{d.value(name)}
		}
		out[name] = values
	}
	return out
}

// limit makes the number of entries that a map of headers is cut to.
func (d *dice) limit() int {
	if d.ordered {
		return pick(d, -1, 1, 2, 5, 100)
	}
	return pick(d, -1, 100, 200, 1000)
}

func (d *dice) status() int {
	return pick(d, 200, 200, 201, 202, 400, 403, 404, 418, 429, 500, 503, 599)
}

// shared makes a value for kong.ctx.shared.
func (d *dice) shared() interface{} {
	return pick[interface{}](d, nil, true, false, 0, -7, 1<<40, 1.5, "", "text", "\xff\x00bytes", []byte{1, 2, 255},
		[]interface{}{}, []interface{}{"a", nil, 3.5, false}, map[string]interface{}{},
		map[string]interface{}{"a": 1, "b": []interface{}{map[string]interface{}{"c": nil, "d": "e"}}},
		strings.Repeat("shared ", 100), d.IntN(1<<30))
}

// sharedKey is a key of kong.ctx.shared. The Lua plugin who leaves a function
// in "function" and a text longer than what is sent along in "big".
func (d *dice) sharedKey() string {
	return pick(d, "a", "a", "a", "b", "A", "none", "function", "big", "")
}

// words are the arguments of a log line, which begins with the program's name.
func (d *dice) words() []interface{} {
	words := []interface{}{}
	for range d.IntN(4) {
		words = append(words, pick[interface{}](d, " word", 7, 2.5, true, nil, []byte("b"), " ü", "", int64(-1)))
	}
	return words
}

// ask makes up what the client sends.
func (p *Program) ask(d *dice) {
	p.Method = pick(d, http.MethodGet, http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch)
	p.Query = pick(d, "", "", "a=1", "a=1&a=2&b", "flag&b=&c=%20x&A=up", "d=%C3%BC&e=%ff&a=", "a=1&b=2&c=3&d=4&e=5&f=6&g=7")
	if p.Method != http.MethodGet && p.Method != http.MethodDelete {
		p.Body = pick(d, "", "body", "bytes \x00\xff", strings.Repeat("a body of some length ", 100), strings.Repeat("0123456789", 2000))
	}
	p.Header = http.Header{}
	for range d.IntN(8) {
		name := d.requestHeader()
		switch strings.ReplaceAll(strings.ToLower(name), "_", "-") {
		case "host", "user-agent", "x-none":
			continue
		}
		value := strings.TrimSpace(d.value(name))
		p.Header[name] = append(p.Header[name], value)
	}
}
