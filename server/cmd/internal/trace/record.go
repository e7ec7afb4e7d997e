package trace

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/kongring/kongring/server"
	"github.com/kongring/kongring/server/cmd/internal/exit"
	"github.com/kongring/kongring/server/cmd/internal/record"
	"github.com/kongring/kongring/shm"
)

// patience is how long a server may take to answer.
const patience = 2 * time.Second

type recordOptions struct {
	out     string
	worker  int
	session int
	length  time.Duration
	frames  int
	mib     int
	values  bool
	failed  bool
}

func recordCommand() *cobra.Command {
	var o recordOptions
	cmd := &cobra.Command{
		Use:   "record SOCKET -o FILE",
		Short: "Record the events of one worker",
		Long: `Records the events that one worker begins from now on, until the time is over, there
is enough of it, or Ctrl-C. The worker and the server do not wait for that; what does not
fit is left out and counted.

Header values, bodies and all other texts that a request brings are left out, and so are
secret fields of the plugin's config: --values keeps them. Log lines and the texts of
failures stay. Root and the server's own user may record.`,
		Example: `  kongring trace record /usr/local/kong/my-plugin.socket -o my-plugin.trace --for 1m`,
		Args:    exactly("SOCKET"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.run(cmd.Context(), args[0], cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.out, "output", "o", "", "`FILE` to write, which is not there yet")
	f.IntVar(&o.worker, "worker", -1, "`NUMBER` of the worker, where several are attached")
	f.IntVar(&o.session, "session", 0, "`NUMBER` of the session, likewise")
	f.DurationVar(&o.length, "for", 10*time.Second, "how long to record, `TIME` such as 500ms or 1m")
	f.IntVar(&o.frames, "frames", 100_000, "`NUMBER` of messages to record at most")
	f.IntVar(&o.mib, "size", 64, "`MIB` to write at most")
	f.BoolVar(&o.failed, "failed", false, "record those events alone that fail: by a panic or an error, given up by\nKong, or with an answer of 500 or more")
	f.BoolVar(&o.values, "values", false, "keep header values, bodies and secrets of the config")
	return cmd
}

func (o recordOptions) run(ctx context.Context, socket string, out io.Writer) error {
	switch {
	case o.out == "":
		return exit.Misuse("no -o FILE: name the file to write")
	case o.length <= 0:
		return exit.Misuse("flag --for=%v: want a time, such as 10s", o.length)
	case o.frames <= 0 || o.mib <= 0:
		return exit.Misuse("flags --frames and --size: want 1 or more")
	}
	socket, err := filepath.Abs(socket)
	if err != nil {
		return err
	}
	session, err := o.choose(socket)
	if err != nil {
		return err
	}
	t, err := server.Trace(socket, session, patience)
	if err != nil {
		return explain(socket, err)
	}
	defer t.Close()
	file, err := os.OpenFile(o.out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already: name another file", o.out)
	}
	if err != nil {
		return err
	}
	defer file.Close()
	tally, err := o.write(ctx, t, file)
	if err == nil {
		err = file.Close()
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", o.out, err)
	}
	tally.say(out, o)
	return ctx.Err()
}

// choose gives the session to record.
func (o recordOptions) choose(socket string) (uint32, error) {
	stats, err := server.Inspect(socket, patience)
	if errors.Is(err, shm.ErrRefused) && !errors.Is(err, shm.ErrVersion) {
		return 0, fmt.Errorf("%w: run this as root or as the server's user", err)
	}
	if err != nil {
		return 0, explain(socket, err)
	}
	var fit []server.SessionStats
	for _, s := range stats.Sessions {
		if (o.worker < 0 || uint32(o.worker) == s.Worker) && (o.session == 0 || uint32(o.session) == s.Session) {
			fit = append(fit, s)
		}
	}
	switch {
	case len(stats.Sessions) == 0:
		return 0, fmt.Errorf("no worker is attached to %s: its first request attaches it", socket)
	case len(fit) == 0:
		return 0, fmt.Errorf("no such worker or session: kongring top %s --once lists them", socket)
	case len(fit) > 1:
		return 0, exit.Misuse("%d workers are attached: choose one by --worker, such as --worker %d", len(fit), fit[0].Worker)
	}
	return fit[0].Session, nil
}

// tally is what a record came to.
type tally struct {
	events, messages int
	lost             uint64
	end              string
}

func (t tally) say(out io.Writer, o recordOptions) {
	fmt.Fprintf(out, "%s: %d events, %d messages; %s\n", o.out, t.events, t.messages, t.end)
	if t.lost > 0 {
		fmt.Fprintf(out, "%d frames were lost: record for a shorter time, or a worker with less to do\n", t.lost)
	}
	if o.values {
		fmt.Fprintln(out, "It has header values, bodies and secrets: think before you show it around.")
	} else {
		fmt.Fprintln(out, "Header values, bodies and secrets are left out: --values keeps them.")
	}
}

// write writes the record, up to its end.
func (o recordOptions) write(ctx context.Context, t *server.Tracing, to io.Writer) (sum tally, err error) {
	gatherer, header, lines := record.NewGatherer(t.Start, o.values)
	w, err := record.NewWriter(to, header)
	if err == nil {
		err = w.Write(lines...)
	}
	var failures record.Failures
	over, cancel := context.WithTimeout(ctx, o.length)
	defer cancel()
	defer context.AfterFunc(over, func() { _ = t.Close() })()
	for err == nil && sum.end == "" {
		var frame server.TraceFrame
		frame, failed := t.Next()
		switch {
		case ctx.Err() != nil:
			sum.end = record.EndAsked
		case over.Err() != nil:
			sum.end = record.EndTime
		case errors.Is(failed, io.EOF):
			sum.end = record.EndHangUp
			err = w.Write(failures.Rest()...)
		case failed != nil:
			return sum, failed
		default:
			lines = gatherer.Add(frame)
			if o.failed {
				lines = failures.Add(lines...)
			}
			sum.messages += len(lines)
			sum.lost += frame.Lost
			if err = w.Write(lines...); sum.messages >= o.frames {
				sum.end = record.EndFrames
			} else if w.Bytes >= int64(o.mib)<<20 {
				sum.end = record.EndBytes
			}
		}
	}
	if sum.events = gatherer.Events; o.failed {
		sum.events = failures.Events
	}
	if err == nil {
		err = w.Write(record.Line{At: time.Since(t.Start.Started).Microseconds(), Type: record.TypeEnd, Text: sum.end})
	}
	return sum, err
}

// explain says what to do about a server that does not answer.
func explain(socket string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("no plugin server listens at %s: start it, or name its -socket", socket)
	case errors.Is(err, shm.ErrVersion):
		return fmt.Errorf("%w: take the kongring command of the server's version", err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: run this as root or as the server's user", err)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("no answer from %s within %v: is its process stopped?", socket, patience)
	case errors.Is(err, shm.ErrRefused):
		return err
	}
	return fmt.Errorf("%w: is it the socket of a plugin server of kongring?", err)
}
