package record_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/server/cmd/internal/record"
)

func TestFailures(t *testing.T) {
	event := func(kind, id string) record.Line { return record.Line{Type: kind, Event: id} }
	exit := func(args ...any) record.Line { return record.Line{Type: record.TypeExit, Event: "a", Args: args} }
	for name, tc := range map[string]struct {
		end  record.Line
		pass bool
	}{
		"panic":              {record.Line{Type: record.TypeDone, Event: "a", Status: "panic"}, true},
		"done":               {record.Line{Type: record.TypeDone, Event: "a", Status: "ok"}, false},
		"given up":           {event(record.TypeCancel, "a"), true},
		"500":                {exit(json.Number("500")), true},
		"499":                {exit(json.Number("499")), false},
		"exit without":       {exit(), false},
		"exit with nonsense": {exit("500"), false},
	} {
		var f record.Failures
		instance := record.Line{Type: record.TypeInstance}
		require.Equal(t, []record.Line{instance}, f.Add(instance, event(record.TypeEvent, "a"), event(record.TypeCall, "a"), event(record.TypeEvent, "b")), name)
		pass := f.Add(event(record.TypeReturn, "a"), tc.end, event(record.TypeCall, "b"))
		if tc.pass {
			require.Equal(t, []record.Line{event(record.TypeEvent, "a"), event(record.TypeCall, "a"), event(record.TypeReturn, "a"), tc.end}, pass, name)
			require.Equal(t, 1, f.Events)
		} else {
			require.Empty(t, pass, name)
		}
		// What may lack something is not shown as if it were whole.
		lost := record.Line{Type: record.TypeLost}
		require.Equal(t, []record.Line{lost}, f.Add(lost, event(record.TypeCancel, "b")), name)
	}
}

func TestFailuresOfASessionThatEnded(t *testing.T) {
	var f record.Failures
	second, first := record.Line{At: 2, Type: record.TypeEvent, Event: "a"}, record.Line{At: 1, Type: record.TypeEvent, Event: "b"}
	call := record.Line{At: 3, Type: record.TypeCall, Event: "b"}
	require.Empty(t, f.Add(second, first, call))
	require.Equal(t, []record.Line{first, call, second}, f.Rest())
	require.Equal(t, 2, f.Events)
}
