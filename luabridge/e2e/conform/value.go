package conform

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/server/wire"
)

// ends tells whether the case ends the request itself.
func (c testCase) ends() bool { return c.last().Class == wire.ClassTerminal }

// runs tells whether the place runs one of the phases.
func (p Place) runs(in wire.Phases) bool {
	return slices.ContainsFunc(p.Phases, func(phase string) bool {
		return in.Has(slices.Index(wire.PhaseNames[:], phase))
	})
}

// methodNames are the PDK's methods as cases are named, with their phases.
func methodNames() map[string]wire.Phases {
	out := map[string]wire.Phases{}
	for _, m := range wire.Methods[1:] {
		first, _, _ := strings.Cut(m.Go, ",")
		value := first[:strings.LastIndex(first, ".")+1]
		for name := range strings.SplitSeq(m.Go[len(value):], ", ") {
			out[value+name] = m.Phases
		}
	}
	return out
}

// differs are the names of headers that differ between two requests.
var differs = regexp.MustCompile(`(?i)^(date|(x-got-)?(x-)?conform-.*|x-(got-)?kong-request-id|x-kong-.*-latency)$`)

// scrub takes out of a value what Lua leaves out and Go gives as a zero value,
// what depends on the side that was asked, and nothing else.
func scrub(v interface{}) interface{} {
	switch v := v.(type) {
	case array:
		out := array{}
		for _, e := range v {
			out = append(out, scrub(e))
		}
		if len(out) == 0 {
			return nil
		}
		return out
	case table:
		out := table{}
		for k, e := range v {
			if e := scrub(e); e != nil && !differs.MatchString(k) {
				out[k] = e
			}
		}
		if len(out) == 0 {
			return nil
		}
		return out
	case string:
		if v == "" {
			return nil
		}
	case float64:
		if v == 0 {
			return nil
		}
	case bool:
		if !v {
			return nil
		}
	}
	return v
}

// requireShape checks that a value has the same types as another, in all that it
// has; lists are as long as they are.
func requireShape(t *testing.T, at string, want, got interface{}) {
	t.Helper()
	switch got := got.(type) {
	case table:
		require.IsType(t, want, got, at)
		for k, e := range got {
			other, found := want.(table)[k]
			require.True(t, found, "%s.%s: not in Lua", at, k)
			requireShape(t, at+"."+k, other, e)
		}
	case array:
		require.IsType(t, want, got, at)
		require.NotEmpty(t, want, at)
		require.NotEmpty(t, got, at)
		requireShape(t, at+"[]", want.(array)[0], got[0])
	default:
		require.IsType(t, want, got, at)
	}
}
