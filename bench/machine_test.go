package bench

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFactsAreFound(t *testing.T) {
	f := Look()
	require.Positive(t, f.Cores)
	for _, fact := range []string{f.CPU, f.Kernel, f.Go, f.Nginx, f.LuaJIT, f.Load} {
		require.NotEmpty(t, fact)
	}
}

func TestNameOfMachine(t *testing.T) {
	for _, tt := range []struct {
		facts Facts
		want  string
	}{
		{Facts{CPU: "AMD EPYC", Cores: 2, Virtual: true}, "amd-epyc-2-cores-vm"},
		{Facts{CPU: "AMD EPYC 7B13 64-Core Processor", Cores: 8}, "amd-epyc-7b13-8-cores"},
		{Facts{CPU: "Intel(R) Xeon(R) CPU E5-2680 v4 @ 2.40GHz", Cores: 4}, "intel-xeon-e5-2680-v4-4-cores"},
		{Facts{Cores: 1}, "unknown-1-cores"},
	} {
		require.Equal(t, tt.want, tt.facts.Name())
	}
}
