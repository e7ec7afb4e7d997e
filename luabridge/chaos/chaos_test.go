package chaos

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/luabridge/host"
)

// A round of what is quick: nothing shows of it but what the table allows.
func TestChaos(t *testing.T) {
	if err := host.Available(); err != nil {
		t.Skip("skipped: ", err)
	}
	o := Options{
		Seed: 1, Clients: 8, Pause: 5 * time.Millisecond, Log: t.Output(),
		Faults: []string{
			"server killed", "server stopped for a while", "server replaced", "server without descriptors, reload",
			"server killed, then without memory", "worker killed", "worker told to leave", "config changed, reload",
			"clients vanish", "handlers panic", "full rings, server stopped",
		},
	}
	if testing.Short() {
		o.Faults = []string{"server killed", "worker killed", "reload"}
	}
	report, err := Run(t.Context(), o)
	t.Log("\n" + report.Markdown())
	for _, example := range report.Examples {
		t.Log(example)
	}
	require.NoError(t, err)
	require.Len(t, report.Rows, len(o.Faults))
	for _, row := range report.Rows {
		require.NotEmpty(t, row.First, row.Fault)
	}
	require.Positive(t, report.Answers["200"])
}
