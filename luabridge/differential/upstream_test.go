package differential_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path"
	"sync"
	"testing"
)

// arrived is a request as the upstream got it.
type arrived struct {
	Method, URI, Host, Body string
	Header                  http.Header
}

// upstream remembers what arrived, by program.
type upstream struct {
	*httptest.Server
	mu   sync.Mutex
	seen map[string][]arrived
}

func startUpstream(t *testing.T) *upstream {
	u := &upstream{seen: map[string][]arrived{}}
	u.Server = httptest.NewServer(u)
	t.Cleanup(u.Close)
	return u
}

// take gives what arrived for a program since the last time.
func (u *upstream) take(name string) []arrived {
	u.mu.Lock()
	defer u.mu.Unlock()
	got := u.seen[name]
	delete(u.seen, name)
	return got
}

// ServeHTTP answers the same at every time, with names as they are written here.
func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	name := path.Base(r.URL.Path)
	u.mu.Lock()
	u.seen[name] = append(u.seen[name], arrived{r.Method, r.RequestURI, r.Host, string(body), r.Header})
	u.mu.Unlock()
	h := w.Header()
	h["Date"] = []string{"Thu, 01 Jan 1970 00:00:00 GMT"}
	h["X-Up"] = []string{"up"}
	h["X_Under"] = []string{"under"}
	h["X-Multi"] = []string{"one", "two"}
	h["Content-Type"] = []string{"text/plain"}
	w.WriteHeader([]int{200, 200, 201, 404, 503}[len(body)%5])
	_, _ = fmt.Fprintf(w, "from the upstream: %d bytes for %s", len(body), r.URL.Path)
}
