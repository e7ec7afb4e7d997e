package differential_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/luabridge/differential/program"
)

// shrink takes steps away from a program that differs for as long as it does,
// and tells what is left of it.
func shrink(t *testing.T, s saving, name string, up *upstream) {
	whole, err := program.New(name)
	require.NoError(t, err)
	shapes := whole.Shape + 1
	without, with := start(t, savings[0], shapes, up), start(t, s, shapes, up)
	// Others of its shape run before each try, so that its instance has habits.
	others := make([]string, program.PerShape)
	for i := range others {
		others[i] = program.Name(*seed, whole.Shape*program.PerShape+i)
	}
	differs := func(kept []int) string {
		cut := name + "." + strings.Trim(strings.ReplaceAll(fmt.Sprint(kept), " ", "-"), "[]")
		p, err := program.New(cut)
		require.NoError(t, err)
		with.send(others)
		want, _ := without.run([]string{cut})
		got, _ := with.run([]string{cut})
		return got[cut].differs(*want[cut], p, s.posted)
	}

	kept := make([]int, len(whole.Steps))
	for i := range kept {
		kept[i] = i
	}
	why := differs(kept)
	if why == "" {
		t.Errorf("program %s alone does not differ: it takes what ran beside it", name)
		return
	}
	// From the end, half of them at a time at first: a cut that fails is tried
	// again in smaller parts.
	for part := (len(kept) + 1) / 2; part > 0; part /= 2 {
		for at := len(kept) - part; at > -part; at -= part {
			from := max(at, 0)
			fewer := slices.Delete(slices.Clone(kept), from, at+part)
			if d := differs(fewer); d != "" {
				kept, why = fewer, d
			}
		}
	}

	var text strings.Builder
	for _, i := range kept {
		fmt.Fprintf(&text, "  %d %s: %s\n", i, whole.Steps[i].Phase, whole.Steps[i].Call)
	}
	t.Errorf("the least of program %s, %s %s?%s %q %q:\n%s%s", name, whole.Method, whole.Path(), whole.Query,
		whole.Header, whole.Body[:min(len(whole.Body), 80)], text.String(), why)
}
