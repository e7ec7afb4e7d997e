package trace

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kongring/kongring/server/cmd/internal/exit"
	"github.com/kongring/kongring/server/cmd/internal/record"
	"github.com/kongring/kongring/server/wire"
)

// The kinds of a body that came in a file, and of one that could not be had.
const (
	fileKind  = json.Number("1")
	errorKind = json.Number("2")
)

type replayOptions struct {
	event    string
	patience time.Duration
}

func replayCommand() *cobra.Command {
	var o replayOptions
	cmd := &cobra.Command{
		Use:   "replay FILE BINARY [-- FLAG...]",
		Short: "Replay a record against a plugin's binary",
		Long: `Starts a plugin's binary, without Kong, has it run the events of a record one after
the other, and answers its PDK calls as the record has it. What the plugin does otherwise
is said: the status is 0 when every event agrees with the record, and 1 when one does not.
Flags behind -- go to the binary.

What was left out of the record is a text of "x" of the same length here.`,
		Example: `  kongring trace replay my-plugin.trace ./my-plugin
  kongring trace replay my-plugin.trace ./my-plugin --event 0.7`,
		Args: func(cmd *cobra.Command, args []string) error {
			if at := cmd.ArgsLenAtDash(); at >= 0 {
				args = args[:at]
			}
			return exactly("FILE", "BINARY")(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.patience <= 0 {
				return exit.Misuse("flag --timeout=%v: want a time, such as 10s", o.patience)
			}
			r, err := read(args[0], cmd.InOrStdin())
			if err != nil {
				return err
			}
			return o.run(cmd.Context(), cmd.OutOrStdout(), r, args[1], args[2:])
		},
	}
	cmd.Flags().StringVar(&o.event, "event", "", "replay one event alone, by its `NAME` in the timeline, such as 0.7")
	cmd.Flags().DurationVar(&o.patience, "timeout", 10*time.Second, "how long the plugin may be silent, `TIME` such as 30s")
	return cmd
}

// replay is one under way.
type replay struct {
	record  *record.Record
	out     io.Writer
	process *process
	player  *player
	number  map[*record.Instance]uint32 // of the instances that started here

	agreed, differed int
}

func (o replayOptions) run(ctx context.Context, out io.Writer, r *record.Record, binary string, args []string) error {
	events, left := o.choose(r)
	if len(events) == 0 && (o.event != "" || !failedStart(r)) {
		return fmt.Errorf("nothing to replay: the record has %d events, of which none is whole%s", len(r.Events), o.named())
	}
	p, err := run(binary, o.patience, args...)
	if err != nil {
		return err
	}
	defer p.stop()
	defer context.AfterFunc(ctx, func() { _ = p.cmd.Process.Kill() })() // whoever waits for it sees that
	all := &replay{record: r, out: out, process: p, number: map[*record.Instance]uint32{}}
	if all.player, err = attach(p.Socket, r.LogLevel, o.patience); err != nil {
		return err
	}
	defer func() { all.player.close() }()
	if err = all.instances(o.event == ""); err == nil {
		err = all.events(events)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return err
	}
	return all.sum(left)
}

// choose gives the events to replay, and how many are left out: what is not whole,
// or was refused before it began.
func (o replayOptions) choose(r *record.Record) (events []*record.Event, left int) {
	for _, ev := range r.Events {
		if o.event != "" && o.event != ev.ID {
			continue
		}
		status, _ := record.StatusOf(ev.End.Status)
		began := status != wire.StatusBusy && status != wire.StatusShutdown && status != wire.StatusNoInstance
		whole := ev.End.Type != "" || r.End == record.EndHangUp // perhaps the plugin ended its process
		if ev.Holes || !whole || !began || ev.Instance.Status != "" {
			left++
			continue
		}
		events = append(events, ev)
	}
	return events, left
}

func (o replayOptions) named() string {
	if o.event == "" {
		return ""
	}
	return fmt.Sprintf(" and named %q", o.event)
}

func failedStart(r *record.Record) bool {
	for _, in := range r.Instances {
		if in.Status != "" {
			return true
		}
	}
	return false
}

// instances starts the instances of the record, those that did not start too.
func (r *replay) instances(failed bool) error {
	for i, in := range r.record.Instances {
		if in.Status != "" && !failed {
			continue
		}
		line, err := r.player.start(in, int64(i))
		if err != nil {
			return fmt.Errorf("start of instance %d: %w", in.Number, err)
		}
		r.number[in] = line.Instance
		if in.Status == "" && line.Status == "" {
			continue
		}
		name := fmt.Sprintf("start of plugin %s", printable(in.Plugin))
		if line.Status == in.Status && line.Text == in.Text {
			r.agree(name, line.Status+": "+line.Text)
		} else {
			r.differ(name, []string{fmt.Sprintf("it ended with %s, the record has %s", begun(line.Status, line.Text), begun(in.Status, in.Text))})
		}
	}
	return nil
}

func begun(status, text string) string {
	if status == "" {
		return "an instance"
	}
	return status + ": " + printable(text)
}

// events plays events, up to one that ends the process.
func (r *replay) events(events []*record.Event) error {
	for _, ev := range events {
		number := r.number[ev.Instance]
		name := fmt.Sprintf("event %s: %s of %s", printable(ev.ID), ev.Phase, printable(ev.Instance.Plugin))
		if number == 0 {
			r.differ(name, []string{"its instance did not start"})
			continue
		}
		s := newScript(ev, r.record.Constants)
		end, err := r.player.play(s, number)
		if errors.Is(err, errGone) {
			last := r.process.last()
			if ev.End.Type == "" && len(s.differences) == 0 {
				r.agree(name, "the process ended: "+last)
			} else {
				r.differ(name, append(s.differences, "the process ended: "+last))
			}
			return nil
		}
		if err != nil {
			return err
		}
		if end.Type != "" {
			s.end(end)
		}
		if len(s.differences) > 0 {
			r.differ(name, s.differences)
			continue
		}
		failure := ""
		if end.Type != record.TypeDone || end.Status != "ok" {
			failure = ending(end, shortWidth*2)
		}
		r.agree(name, failure)
	}
	return nil
}

// agree says that something went as in the record; of a failure it says which.
func (r *replay) agree(name, failure string) {
	r.agreed++
	if failure != "" {
		fmt.Fprintf(r.out, "%s agrees: %s\n", name, indent(failure))
	}
}

func (r *replay) differ(name string, differences []string) {
	r.differed++
	fmt.Fprintf(r.out, "%s differs:\n", name)
	for _, d := range differences {
		fmt.Fprintf(r.out, "  %s\n", indent(d))
	}
}

// indent indents the lines of a text but the first, and takes out of them what a
// terminal obeys.
func indent(text string) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for i := range lines {
		lines[i] = printable(strings.ReplaceAll(lines[i], "\t", "    "))
	}
	return strings.Join(lines, "\n    ")
}

// sum says what came of it.
func (r *replay) sum(left int) error {
	fmt.Fprintf(r.out, "%d agree with the record, %d differ", r.agreed, r.differed)
	if left > 0 {
		fmt.Fprintf(r.out, "; %d are not whole and were left out", left)
	}
	if r.record.Redacted {
		fmt.Fprint(r.out, "\nheader values, bodies and secrets are not in the record: texts of \"x\" stood for them")
	}
	if _, err := fmt.Fprintln(r.out); err != nil {
		return err
	}
	if r.differed > 0 {
		return exit.ErrFindings
	}
	return nil
}
