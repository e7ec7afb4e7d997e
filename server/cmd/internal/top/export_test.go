package top

import (
	"context"
	"os"
)

// LiveWith shows a table on a terminal; look is called where a server would be
// asked.
func LiveWith(terminal *os.File, look func()) {
	_ = live(context.Background(), terminal, terminal, view{table: tables[0], sort: byServer}, leastInterval, func() sample { look(); return sample{} })
}
