package differential_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/luabridge/differential/program"
)

// shown is how many programs that differ are told of.
const shown = 5

func TestDifferential(t *testing.T) {
	n := *programs
	if testing.Short() {
		n = min(n, 500)
	}
	names := make([]string, n)
	for i := range names {
		names[i] = program.Name(*seed, i)
	}
	up := startUpstream(t)
	var want map[string]*outcome
	var wantRest []string
	for _, s := range savings {
		t.Run(s.name, func(t *testing.T) {
			b := start(t, s, shapesOf(n), up)
			got, rest := b.run(names)
			slices.Sort(rest)
			b.used(n)
			require.NoError(t, b.Stop(b.ctx))
			if want == nil {
				want, wantRest = got, rest
				return
			}
			failed := []string{}
			for _, name := range names {
				p, err := program.New(name)
				require.NoError(t, err)
				if d := got[name].differs(*want[name], p, s.posted); d != "" {
					failed = append(failed, name)
					if len(failed) <= shown {
						t.Errorf("program %s of seed %d: %s", name, *seed, d)
					}
				}
			}
			if len(failed) > 0 {
				t.Errorf("%d of %d programs differ", len(failed), n)
				shrink(t, s, failed[0], up)
				return
			}
			require.Equal(t, wantRest, rest, "lines in the log that tell of no program")
		})
	}
}

func shapesOf(n int) int { return (n + program.PerShape - 1) / program.PerShape }

// used checks that the savings that are on were made, and no others.
func (b *bed) used(n int) {
	b.t.Helper()
	c := b.counters()
	for _, f := range []struct {
		name  string
		on    bool
		times uint64
	}{
		{"posted writes", b.saving.posted, c.Posted},
		{"answers from the memo", b.saving.memo, c.MemoHits},
		{"values that came along", b.saving.prefetch, c.PrefetchHits},
		{"profiles", b.saving.prefetch, c.Profiles},
	} {
		b.t.Logf("%s: %d", f.name, f.times)
		if !f.on {
			require.Zero(b.t, f.times, f.name)
		} else if f.name == "profiles" {
			require.GreaterOrEqual(b.t, f.times, uint64(shapesOf(n)), f.name)
		} else {
			require.Greater(b.t, f.times, uint64(n), f.name)
		}
	}
}
