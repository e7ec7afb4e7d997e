package main

import (
	"fmt"
	"os"
	"slices"
	"text/tabwriter"

	"github.com/kongring/kongring/bench"
)

// report prints the figures for people; c are nanoseconds of the machine's own
// round trip, one for each round.
func report(figures []*figure, c []float64, b *bed) {
	fmt.Printf("%sCPUs    %d and %d; C was quicker %s in %d of %d rounds\n\n",
		bench.Machine(), b.cpus[0], b.cpus[1], "with pause", b.pauseWins, *rounds)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "ring\tmedian ns\tleast ns\t÷ C\ttarget\tMB/s\t\n")
	fmt.Fprintf(w, "C: cache line, two threads, round trip\t%.0f\t%.0f\t1.00\t\t\t\n", median(c), slices.Min(c))
	for _, f := range figures {
		target, rate := "", ""
		if f.Target > 0 {
			target = fmt.Sprintf("%.2f", f.Target)
		}
		if f.Rate > 0 {
			rate = fmt.Sprintf("%.0f", f.Rate)
		}
		fmt.Fprintf(w, "%s\t%.0f\t%.0f\t%.2f\t%s\t%s\t\n", f.Name, f.Median, f.Least, f.ToC, target, rate)
	}
	_ = w.Flush()
	fmt.Printf("\nFigures of a shared machine whose other users come and go: %d rounds,\n"+
		"each ratio taken within its round. Compare runs by ratio, not by ns.\n", *rounds)
}
