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
	table      string
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
		Long: `Shows what the plugin servers at the sockets, and the workers that are attached to
them, did in the last interval. The table of plugins has a row for each plugin, phase
and worker; WRK is - for Kongs without the bridge:

  EVENT/S  events that ended in a second
  P50 P99  time that half and 99 of 100 took in the server at most, in u, m or s
           are micro-, milli- and seconds. They are measured while this command runs.
  CALLS    PDK calls of one event, however they were answered
  PREF%    of the values that came along with events, the part that was asked for
  ERRORS   events that ended badly or were refused since the worker attached

The table of workers has a row for each worker:

  OVER     what carries its messages: ring, or sock (the socket)
  SPIN%    of the server's looks into the ring, the part that found a frame
  BELL/S   doorbells that either side rang
  SLP/S    times that either side slept
  FILL%    of the fuller one of its rings, the part that was not read yet
  ERRORS   events that ended badly, in the worker's word, since it attached
  OPEN     events under way

Keys: q leaves, s sorts by the next column, t shows the other table. Root and the
server's own user may look.`,
		Example: `  kongring top /usr/local/kong/*.socket --sort events
  kongring top /run/my-plugin.socket --table workers
  kongring top /run/my-plugin.socket --once --json --filter phase=access`,
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
	f.StringVar(&o.table, "table", tables[0].name, "`TABLE` to show: plugins or workers")
	f.StringVar(&o.sort, "sort", byServer, "`COLUMN` to sort by, the largest first: "+strings.Join(allOrders(), ", "))
	f.StringSliceVar(&o.filters, "filter", nil, "show what fits `NAME=VALUE` alone: server, worker, session, pid, carrier, and of\nplugins plugin and phase")
	f.DurationVar(&o.interval, "interval", time.Second, "how long to count, `TIME` such as 500ms or 2s")
	_ = cmd.RegisterFlagCompletionFunc("sort", cobra.FixedCompletions(allOrders(), cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("table", cobra.FixedCompletions([]string{"plugins", "workers"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// allOrders are those of all tables.
func allOrders() (names []string) {
	for _, t := range tables {
		for _, name := range t.orders() {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

func (o options) run(ctx context.Context, sockets []string, out io.Writer) error {
	table, known := tableNamed(o.table)
	if !known {
		return exit.Misuse("flag --table=%s: want plugins or workers", o.table)
	}
	filters, err := table.filters(o.filters)
	switch {
	case err != nil:
		return err
	case !slices.Contains(table.orders(), o.sort):
		return exit.Misuse("flag --sort=%s: the table of %s has %s", o.sort, table.name, strings.Join(table.orders(), ", "))
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
	from := newLookout(sockets)
	v := view{table: table, sort: o.sort, filters: filters, now: from.take()}
	if err := v.silent(); err != nil {
		return err
	}
	if o.once {
		return o.print(ctx, from, v, out)
	}
	return live(ctx, os.Stdin, file, v, o.interval, from.take)
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
func (o options) print(ctx context.Context, from *lookout, v view, out io.Writer) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(o.interval):
	}
	v.before, v.now = v.now, from.take()
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
		fmt.Fprintln(&text, strings.TrimRight(v.table.heads(), " "))
		for _, r := range chosen {
			fmt.Fprintln(&text, strings.TrimRight(v.table.of(r), " "))
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
		return fmt.Errorf("%s: leave --filter out to see all", v.nothing())
	}
	return nil
}
