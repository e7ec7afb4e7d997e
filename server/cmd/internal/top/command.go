package top

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/kongring/kongring/server/cmd/internal/exit"
)

type options struct {
	once, json bool
	sort       string
	filters    []string
	interval   time.Duration
}

// leastInterval is how often a server may be asked.
const leastInterval = 50 * time.Millisecond

// Command is kongring top.
func Command() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "top SOCKET...",
		Short: "Show what plugin servers and Kong's workers do",
		Long: `Shows, for each worker that is attached to the plugin servers at the sockets, what it
did in the last interval:

  OVER     what carries its messages: ring, or sock (the socket)
  EVENT/S  events that ended in a second
  CALLS    PDK calls of one event, however they were answered
  PREF%    of the values that came along with events, the part that was asked for
  SPIN%    of the server's looks into the ring, the part that found a frame
  BELL/S   doorbells that either side rang
  SLP/S    times that either side slept
  ERRORS   events that ended badly since the worker attached
  OPEN     events under way

Keys: q leaves, s sorts by the next column. Root and the server's own user may look.`,
		Example: `  kongring top /usr/local/kong/*.socket --sort events
  kongring top /run/my-plugin.socket --once --json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return exit.Misuse("no SOCKET: name those of plugin servers, such as /usr/local/kong/*.socket")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.run(cmd.Context(), args, cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.once, "once", false, "print one table, of one interval, and end")
	f.BoolVar(&o.json, "json", false, "with --once: print JSON")
	f.StringVar(&o.sort, "sort", "server", "`COLUMN` to sort by: "+strings.Join(orders, ", "))
	f.StringSliceVar(&o.filters, "filter", nil, "show what fits `NAME=VALUE` alone: server, worker, session, pid or carrier")
	f.DurationVar(&o.interval, "interval", time.Second, "how long to count, `TIME` such as 500ms or 2s")
	_ = cmd.RegisterFlagCompletionFunc("sort", cobra.FixedCompletions(orders, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (o options) run(ctx context.Context, sockets []string, out io.Writer) error {
	filters, err := readFilters(o.filters)
	switch {
	case err != nil:
		return err
	case !slices.Contains(orders, o.sort):
		return exit.Misuse("flag --sort=%s: want one of %s", o.sort, strings.Join(orders, ", "))
	case o.interval < leastInterval:
		return exit.Misuse("flag --interval=%v: want %v or more", o.interval, leastInterval)
	case o.json && !o.once:
		return exit.Misuse("flag --json is for scripts: give --once too")
	}
	for i := range sockets {
		if sockets[i], err = filepath.Abs(sockets[i]); err != nil {
			return err
		}
	}
	file, isFile := out.(*os.File)
	if !o.once && (!isFile || !term.IsTerminal(int(file.Fd())) || !term.IsTerminal(int(os.Stdin.Fd()))) {
		return exit.Misuse("input or output is no terminal: give --once")
	}
	v := view{sort: o.sort, filters: filters, now: take(sockets)}
	if err := v.silent(); err != nil {
		return err
	}
	if o.once {
		return o.print(ctx, sockets, v, out)
	}
	return live(ctx, os.Stdin, file, v, o.interval, func() sample { return take(sockets) })
}

// silent is an error if no server answers at all.
func (v view) silent() error {
	var errs []error
	for _, a := range v.now.servers {
		if a.err == nil {
			return nil
		}
		errs = append(errs, a.err)
	}
	return errors.Join(errs...)
}

// print prints the second of two samples. It fails where a server is silent, or
// nothing fits the filters.
func (o options) print(ctx context.Context, sockets []string, v view, out io.Writer) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(o.interval):
	}
	v.before, v.now = v.now, take(sockets)
	chosen := v.rows()
	var text strings.Builder
	if o.json {
		if chosen == nil {
			chosen = []row{}
		}
		e := json.NewEncoder(&text)
		e.SetIndent("", "  ")
		if err := e.Encode(chosen); err != nil {
			return err
		}
	} else {
		fmt.Fprintln(&text, heads)
		for _, r := range chosen {
			fmt.Fprintln(&text, strings.TrimRight(r.line(), " "))
		}
	}
	if _, err := io.WriteString(out, text.String()); err != nil {
		return err
	}
	for _, a := range v.now.servers {
		if a.err != nil {
			return a.err
		}
	}
	if len(chosen) == 0 && len(v.filters) > 0 {
		return fmt.Errorf("no worker is attached%s: leave --filter out to see all", v.why())
	}
	return nil
}
