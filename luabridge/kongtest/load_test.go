package kongtest_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
)

// load sends requests to the plugin until stop is called, and collects what
// comes in the place of an answer of the plugin.
type load struct {
	b      *bed
	sent   atomic.Int64
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu       sync.Mutex
	failures []string
	messages map[string]int // what the plugin said, how often
}

func newLoad(b *bed, n int) *load {
	ctx, cancel := context.WithCancel(b.ctx)
	l := &load{b: b, cancel: cancel, messages: map[string]int{}}
	for range n {
		l.wg.Add(1)
		go func() {
			defer l.wg.Done()
			for ctx.Err() == nil {
				l.one()
			}
		}()
	}
	return l
}

func (l *load) one() {
	status, body, err := l.b.get("/s")
	l.mu.Lock()
	defer l.mu.Unlock()
	message, ours := strings.CutSuffix(body, " /s")
	switch {
	case err != nil:
		l.failures = append(l.failures, err.Error())
	case status != 200 || !ours:
		l.failures = append(l.failures, body)
	default:
		l.messages[message]++
	}
	l.sent.Add(1)
}

// more waits for requests that begin and end from now on.
func (l *load) more() {
	l.b.t.Helper()
	before := l.sent.Load()
	l.b.eventually("more requests", func() bool { return l.sent.Load() > before+50 })
}

// says waits until the plugin says nothing but message.
func (l *load) says(message string) {
	l.b.t.Helper()
	l.b.eventually("nothing but "+message, func() bool {
		l.mu.Lock()
		l.messages = map[string]int{}
		l.mu.Unlock()
		l.more()
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.messages) == 1 && l.messages[message] > 0
	})
}

// stop ends the load and gives what failed.
func (l *load) stop() []string {
	l.cancel()
	l.wg.Wait()
	return l.failures
}
