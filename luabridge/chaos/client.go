package chaos

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// hung is how long a client waits for an answer: far longer than any fault lasts.
const hung = 40 * time.Second

// text is a request as it goes over the connection. Each has one of its own: then
// nothing but the death of a worker cuts one off.
func (r *request) text(host string) []byte {
	var b bytes.Buffer
	method := "GET"
	if len(r.body) > 0 {
		method = "POST"
	}
	fmt.Fprintf(&b, "%s %s?nonce=%s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nX-Nonce: %s\r\n", method, r.path, r.nonce, host, r.nonce)
	for name, do := range r.do {
		fmt.Fprintf(&b, "X-%s: %s\r\n", name, do)
	}
	if len(r.body) > 0 {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(r.body))
	}
	b.WriteString("\r\n")
	b.Write(r.body)
	return b.Bytes()
}

// send sends a request and reads all that comes back until the other side closes
// the connection: more than one answer is an error.
func send(address string, r request) (a answer) {
	a = answer{request: r, begun: time.Now(), kind: cut}
	defer func() { a.end = time.Now() }()
	c, err := net.DialTimeout("tcp", address, hung)
	if err != nil {
		a.kind, a.err = other, err
		return a
	}
	defer c.Close()
	_ = c.SetDeadline(a.begun.Add(hung))
	// Beside the reading: an answer may come before the body is all sent.
	go func() { _, _ = c.Write(r.text(address)) }()

	in := bufio.NewReader(c)
	response, err := http.ReadResponse(in, nil)
	if err == nil {
		a.header, a.worker = response.Header, response.Header.Get("x-worker")
		a.body, err = io.ReadAll(response.Body)
	}
	var late net.Error
	if errors.As(err, &late) && late.Timeout() {
		a.kind, a.err = other, fmt.Errorf("no answer for %v", hung)
		return a
	}
	if err != nil {
		a.err = err
		return a
	}
	a.kind = kindOf(response.StatusCode)
	if a.kind == other {
		a.err = errors.New(response.Status)
	}
	if more, _ := io.ReadAll(in); len(more) > 0 {
		a.kind, a.err = other, fmt.Errorf("a second answer: %.100q", more)
	}
	return a
}

// vanish sends the beginning of a request and goes away.
func vanish(address string, r request, bytes int) {
	c, err := net.DialTimeout("tcp", address, hung)
	if err != nil {
		return // the others tell
	}
	_ = c.SetDeadline(time.Now().Add(hung))
	text := r.text(address)
	_, _ = c.Write(text[:min(bytes, len(text))])
	if len(text)%2 == 0 {
		_ = c.(*net.TCPConn).SetLinger(0) // a reset instead of an end
	}
	_ = c.Close()
}
