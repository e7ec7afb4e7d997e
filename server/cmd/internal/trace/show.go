package trace

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kongring/kongring/server/cmd/internal/exit"
	"github.com/kongring/kongring/server/cmd/internal/record"
)

func showCommand() *cobra.Command {
	var event string
	var width int
	cmd := &cobra.Command{
		Use:   "show FILE",
		Short: "Show a record as a timeline",
		Long: `Shows the events of a record, each with what came along, its PDK calls with what they
gave, and how it ended. Times are microseconds since the event's beginning, as the server
saw it; behind an answer is how long it took.

  along    a value that came with the event: to ask for it is no round trip
  call     a round trip
  write    it gives nothing, and waited for the message that is shown next`,
		Args: exactly("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if width < 20 {
				return exit.Misuse("flag --width=%d: want 20 or more", width)
			}
			r, err := read(args[0], cmd.InOrStdin())
			if err != nil {
				return err
			}
			return show(cmd.OutOrStdout(), r, event, width)
		},
	}
	cmd.Flags().StringVar(&event, "event", "", "show one event alone, by its `NAME`, such as 0.7")
	cmd.Flags().IntVar(&width, "width", 80, "longest value, in `CHARACTERS`")
	return cmd
}

// show prints a record, or one event of it.
func show(out io.Writer, r *record.Record, event string, width int) error {
	var text strings.Builder
	fmt.Fprintf(&text, "session %d of worker %d over the %s, protocol %s, %s\n", r.Session, r.Worker, printable(r.Carrier),
		printable(r.Protocol), r.Started.UTC().Format("2006-01-02 15:04:05 UTC"))
	if r.Redacted {
		text.WriteString("header values, bodies and secrets are left out\n")
	}
	for _, in := range r.Instances {
		fmt.Fprintf(&text, "instance %d: plugin %s, %s\n", in.Number, printable(in.Plugin), clip(configText(in.Config), width))
		if in.Status != "" {
			fmt.Fprintf(&text, "  did not start: %s: %s\n", in.Status, printable(in.Text))
		}
	}
	found := false
	for _, ev := range r.Events {
		if event == "" || event == ev.ID {
			found = true
			timeline(&text, ev, width)
		}
	}
	if event != "" && !found {
		return fmt.Errorf("no event %q in the record: without --event all are shown", event)
	}
	if event == "" {
		fmt.Fprintf(&text, "\n%d events; %s\n", len(r.Events), printable(r.End))
		if r.Lost > 0 {
			fmt.Fprintf(&text, "%d frames are missing\n", r.Lost)
		}
	}
	_, err := io.WriteString(out, text.String())
	return err
}

// configText gives a config without what Kong puts into it for itself.
func configText(config json.RawMessage) string {
	var table map[string]json.RawMessage
	if json.Unmarshal(config, &table) != nil {
		return printable(string(config))
	}
	maps.DeleteFunc(table, func(name string, _ json.RawMessage) bool { return strings.HasPrefix(name, "__") })
	text, _ := json.Marshal(table) // it was JSON before
	return printable(string(text))
}

// timeline prints an event.
func timeline(text *strings.Builder, ev *record.Event, width int) {
	fmt.Fprintf(text, "\nevent %s: %s of %s, instance %d, %.3f ms after the start\n",
		printable(ev.ID), ev.Phase, printable(ev.Instance.Plugin), ev.Instance.Number, float64(ev.At)/1000)
	for _, v := range ev.Values {
		what := literal(v.Value)
		if v.Missing {
			what = "could not be had"
		}
		fmt.Fprintf(text, "%8s  along  %s = %s\n", "", callText(v.Call, width), clip(what, width))
	}
	for _, s := range ev.Steps {
		kind := "call "
		if s.Posted {
			kind = "write"
		}
		fmt.Fprintf(text, "%8d  %s  %s", s.At-ev.At, kind, callText(s.Call, width))
		switch {
		case s.Posted:
		case !s.Answered:
			text.WriteString(" without an answer")
		case s.Status == "ok":
			fmt.Fprintf(text, " = %s  (%d)", clip(literal(s.Value), width), s.After)
		default:
			fmt.Fprintf(text, ": %s: %s  (%d)", s.Status, printable(s.Text), s.After)
		}
		text.WriteString("\n")
	}
	if ev.End.Type == "" {
		fmt.Fprintf(text, "%8s  the record ends before it does\n", "")
	} else {
		fmt.Fprintf(text, "%8d  %s\n", ev.End.At-ev.At, strings.ReplaceAll(ending(ev.End, width), "\n", "\n"+strings.Repeat(" ", 10)))
	}
	if ev.Holes {
		fmt.Fprintf(text, "%8s  frames are missing, perhaps of this event\n", "")
	}
}

// ending says how an event ended, the text of a failure in lines of its own.
func ending(end record.Line, width int) string {
	switch {
	case end.Type == record.TypeExit:
		return "exit   " + callText(record.Call{Method: end.Method, Args: end.Args}, width)
	case end.Type == record.TypeCancel:
		return "given up by Kong: " + end.Status + ": " + printable(end.Text)
	case end.Status == "ok":
		return "done"
	}
	var lines []string
	for line := range strings.Lines(end.Text) {
		lines = append(lines, printable(strings.ReplaceAll(strings.TrimRight(line, "\n"), "\t", "    ")))
	}
	return end.Status + ": " + strings.Join(lines, "\n")
}

// callText gives a call as it stands in Lua.
func callText(c record.Call, width int) string {
	args := make([]string, len(c.Args))
	for i := range args {
		args[i] = clip(literal(c.Args[i]), width)
	}
	return c.Method + "(" + strings.Join(args, ", ") + ")"
}

// literal gives a value in one line, with nothing in it that a terminal obeys.
func literal(value any) string {
	switch v := value.(type) {
	case nil:
		return "nil"
	case string:
		return strconv.Quote(v)
	case json.Number:
		return printable(v.String())
	case []any:
		parts := make([]string, len(v))
		for i := range v {
			parts[i] = literal(v[i])
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case map[string]any:
		return record.Literal(v, literal)
	}
	return fmt.Sprint(value)
}

// printable takes out of a text what a terminal obeys.
func printable(text string) string {
	quoted := strconv.Quote(text)
	return strings.ReplaceAll(strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`), `\\`, `\`)
}

// clip shortens a text to a number of characters.
func clip(text string, width int) string {
	runes := []rune(text)
	if len(runes) <= width {
		return text
	}
	return string(runes[:width-1]) + "…"
}
