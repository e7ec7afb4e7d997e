package tracecontext

import (
	"errors"
	"fmt"
	"strings"
)

// State is what tracing systems say of a trace, the newest first.
type State []Entry

// Entry is what one system says.
type Entry struct{ Key, Value string }

// maxEntries bounds a state, as the standard does.
const maxEntries = 32

// ParseState reads the value of a header tracestate; several headers are joined
// with a comma. It takes no state with an entry that makes no sense, with a key
// twice, or with more than 32 entries; empty entries are left out.
func ParseState(text string) (State, error) {
	var state State
	for member := range strings.SplitSeq(text, ",") {
		member = strings.Trim(member, " \t")
		if member == "" {
			continue
		}
		key, value, _ := strings.Cut(member, "=")
		e := Entry{key, value}
		if err := e.check(); err != nil {
			return nil, fmt.Errorf("trace state: %w", err)
		}
		if _, twice := state.Get(key); twice {
			return nil, fmt.Errorf("trace state: key %q twice", key)
		}
		if len(state) == maxEntries {
			return nil, fmt.Errorf("trace state: more than %d entries", maxEntries)
		}
		state = append(state, e)
	}
	return state, nil
}

// Get gives what a system says.
func (s State) Get(key string) (value string, found bool) {
	for _, e := range s {
		if e.Key == key {
			return e.Value, true
		}
	}
	return "", false
}

// With gives a state in which a system says something else, in front, as the
// standard has it; the last entry goes where there are too many. The error says
// what is wrong with key or value.
func (s State) With(key, value string) (State, error) {
	e := Entry{key, value}
	if err := e.check(); err != nil {
		return s, fmt.Errorf("trace state: %w", err)
	}
	next := State{e}
	for _, old := range s {
		if old.Key != key && len(next) < maxEntries {
			next = append(next, old)
		}
	}
	return next, nil
}

// String gives the value of the header.
func (s State) String() string {
	members := make([]string, len(s))
	for i, e := range s {
		members[i] = e.Key + "=" + e.Value
	}
	return strings.Join(members, ",")
}

// Longest parts of an entry.
const (
	maxKey    = 256
	maxTenant = 241
	maxSystem = 14
	maxValue  = 256
)

func (e Entry) check() error {
	tenant, system, several := strings.Cut(e.Key, "@")
	switch {
	case !several && !isName(e.Key, maxKey, false), several && (!isName(tenant, maxTenant, true) || !isName(system, maxSystem, false)):
		return fmt.Errorf("key %q", e.Key)
	case len(e.Value) == 0 || len(e.Value) > maxValue || strings.HasSuffix(e.Value, " "):
		return errors.New("a value that is empty, too long, or ends with a space")
	}
	for i := range len(e.Value) {
		if c := e.Value[i]; c < ' ' || c > '~' || c == ',' || c == '=' {
			return fmt.Errorf("a value with %q", c)
		}
	}
	return nil
}

// isName tells whether a text is a part of a key: it begins with a letter, or with
// a digit where that may be.
func isName(text string, most int, digit bool) bool {
	if text == "" || len(text) > most {
		return false
	}
	for i := range len(text) {
		c := text[i]
		letter, number := 'a' <= c && c <= 'z', '0' <= c && c <= '9'
		if !letter && !(number && (digit || i > 0)) && !(i > 0 && strings.IndexByte("_-*/", c) >= 0) {
			return false
		}
	}
	return true
}
