package chaos

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// load is the clients. They send until it is stopped, and can be made to rest.
type load struct {
	address string
	judge   *judge
	pause   time.Duration // of each client between two requests

	last  atomic.Uint64 // number of the last nonce
	gate  sync.RWMutex  // held for writing while the load rests
	ended atomic.Bool
	wg    sync.WaitGroup

	rude atomic.Bool   // some clients vanish
	gone atomic.Uint64 // those that did
}

// start starts n clients. What they send follows from the seed.
func (l *load) start(n int, seed uint64) {
	for i := range n {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		l.wg.Add(1)
		go func() {
			defer l.wg.Done()
			for !l.ended.Load() {
				l.gate.RLock()
				if i < patient {
					l.wait(rng)
				} else {
					l.one(rng)
				}
				l.gate.RUnlock()
				time.Sleep(l.pause)
			}
		}()
	}
}

// stop ends the clients, when they have their answers.
func (l *load) stop() {
	l.ended.Store(true)
	l.wg.Wait()
}

// patient is how many of the clients ask for nothing but handlers without an end.
const patient = 2

// wait sends a request whose handler does not return by itself.
func (l *load) wait(rng *rand.Rand) {
	r := l.request()
	r.do[names[rng.IntN(len(names))]], r.expect = "slow:", timeout
	l.judge.take(send(l.address, r))
}

// one sends one request.
func (l *load) one(rng *rand.Rand) {
	r := l.draw(rng)
	if l.rude.Load() && len(r.body) > 0 && rng.IntN(15) == 0 {
		l.gone.Add(1)
		vanish(l.address, r, rng.IntN(len(r.body)))
		return
	}
	l.judge.take(send(l.address, r))
}

// draw makes up a request: most of them ordinary, the others with one deed at one
// of the servers.
func (l *load) draw(rng *rand.Rand) request {
	r := l.request()
	if rng.IntN(2) == 0 {
		r.path, r.echoed = "/up", true
	}
	if rng.IntN(3) == 0 {
		r.fill(1 << rng.IntN(16)) // up to 32 KiB: in memory, and in a file of nginx
	}
	if r.path == "/direct" {
		r.echoed = false
	}
	at := rng.IntN(len(names))
	switch n := rng.IntN(1000); {
	case n < 600:
	case n < 700:
		r.do[names[at]] = fmt.Sprintf("slow:%d", 1+rng.IntN(60))
	case n < 750:
		r.do[names[at]], r.expect = "panic", failed
	case n < 850:
		r.do[names[at]] = fmt.Sprintf("writes:%d", 1+rng.IntN(200))
	case n < 880:
		r.do[names[at]] = fmt.Sprintf("long:%d", 1+rng.IntN(256))
	default:
		r.fill(1 << rng.IntN(19)) // up to 256 KiB
		r.takesBody(at)
	}
	return r
}

// request is an ordinary one, with a nonce of its own.
func (l *load) request() request {
	return request{nonce: fmt.Sprintf("n%015d", l.last.Add(1)), path: "/direct", do: map[string]string{}, by: names, expect: fine}
}

// fill gives a request a body of about so many bytes.
func (r *request) fill(n int) {
	r.body = []byte(strings.Repeat(r.nonce, 1+n/len(r.nonce)))
}

// takesBody makes a server's plugin answer with the body. Of plugins with the
// same priority the last name comes first: nothing of east is in an answer that
// west gives.
func (r *request) takesBody(at int) {
	r.do[names[at]], r.path, r.echoed = "body", "/direct", true
	if names[at] == "west" {
		r.by = []string{"west"}
	}
}
