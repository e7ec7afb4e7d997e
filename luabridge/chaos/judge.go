package chaos

import (
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"
)

// judge takes in what happened: answers, and the windows of time in which faults
// allow more kinds of them. Any goroutine may call its methods.
type judge struct {
	mu       sync.Mutex
	windows  []*window
	counts   map[kinds]int
	wrong    int
	examples []string
	watchers []func(*answer)
	tag      int // that the plugins' configs have
	tagSince time.Time
}

// window is the time of a fault, from before it is done until all is well again.
type window struct {
	name     string
	allows   kinds
	from, to time.Time // to is zero while it is open
	seen     map[kinds]int
}

// maxExamples bounds what a report says of what went wrong.
const maxExamples = 20

// violation notes that a rule was broken.
func (j *judge) violation(format string, args ...interface{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.broken(format, args...)
}

func (j *judge) broken(format string, args ...interface{}) {
	j.wrong++
	if len(j.examples) < maxExamples {
		j.examples = append(j.examples, time.Now().Format(clock)+" "+fmt.Sprintf(format, args...))
	}
}

// open opens a window.
func (j *judge) open(name string, allows kinds) *window {
	w := &window{name: name, allows: allows, from: time.Now(), seen: map[kinds]int{}}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.windows = append(j.windows, w)
	return w
}

// close closes it: requests that begin from now on are none of its business.
func (j *judge) close(w *window) {
	j.mu.Lock()
	defer j.mu.Unlock()
	w.to = time.Now()
	j.windows = slices.DeleteFunc(j.windows, func(w *window) bool {
		return !w.to.IsZero() && time.Since(w.to) > 2*hung // no answer is that late
	})
}

// expectTag says that requests that begin from now on have configs with a tag.
func (j *judge) expectTag(tag int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.tag, j.tagSince = tag, time.Now()
}

// stale tells whether an answer comes from a config that was replaced before.
func (j *judge) stale(a *answer) bool {
	for _, name := range names {
		tag, err := strconv.Atoi(a.header.Get("x-tag-" + name))
		if err == nil && tag < j.tag && a.begun.After(j.tagSince) {
			return true
		}
	}
	return false
}

// watch has a function see each answer until the one that it gives is called.
func (j *judge) watch(see func(*answer)) (stop func()) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.watchers = append(j.watchers, see)
	i := len(j.watchers) - 1
	return func() {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.watchers[i] = nil
		for len(j.watchers) > 0 && j.watchers[len(j.watchers)-1] == nil {
			j.watchers = j.watchers[:len(j.watchers)-1]
		}
	}
}

// take judges an answer.
func (j *judge) take(a answer) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.counts == nil {
		j.counts = map[kinds]int{}
	}
	j.counts[a.kind]++
	if foreign := a.foreign(); foreign != "" {
		j.broken("an answer that is not its request's: %s: %s", foreign, &a)
	}
	if j.stale(&a) {
		j.broken("an answer by an old config, %d is the newest: %s", j.tag, &a)
	}
	allowed := a.request.expect
	var during []string
	for _, w := range j.windows {
		if !w.from.After(a.end) && (w.to.IsZero() || !a.begun.After(w.to)) {
			allowed |= w.allows
			during = append(during, w.name)
			if a.kind != a.request.expect && a.kind&w.allows != 0 {
				w.seen[a.kind]++
			}
		}
	}
	if a.kind&allowed == 0 {
		j.broken("an answer that is not allowed, during %q: %s", during, &a)
	}
	for _, see := range j.watchers {
		if see != nil {
			see(&a)
		}
	}
}
