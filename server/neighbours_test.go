package server

import (
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

func TestNeighbours(t *testing.T) {
	machine := func(core, l2, l3 string) fstest.MapFS {
		files := fstest.MapFS{}
		for path, text := range map[string]string{
			"topology/core_cpus_list": core, "cache/index2/shared_cpu_list": l2, "cache/index3/shared_cpu_list": l3,
		} {
			if text != "" {
				files["cpu2/"+path] = &fstest.MapFile{Data: []byte(text + "\n")}
			}
		}
		return files
	}
	for name, c := range map[string]struct {
		sys  fstest.MapFS
		want []int
	}{
		"last cache without the own core": {machine("2,10", "2,10", "0-3,8-11"), []int{0, 1, 3, 8, 9, 11}},
		"no third cache":                  {machine("2", "2-3", ""), []int{3}},
		"only the core's other thread":    {machine("2,10", "2,10", "2,10"), []int{10}},
		"alone":                           {machine("2", "2", "2"), nil},
		"no word of caches":               {machine("2-3", "", ""), []int{3}},
	} {
		got, err := neighbours(c.sys, 2)
		require.NoError(t, err, name)
		require.ElementsMatch(t, c.want, got, name)
	}
	for _, text := range []string{"", "x", "3-1", "0-", "-1", "0-99999999"} {
		_, err := neighbours(machine("2", "", text), 2)
		require.NoError(t, err, "a cache without a usable list counts as none: %q", text)
		_, err = neighbours(machine(text, "", ""), 2)
		require.Error(t, err, "%q", text)
	}
}
