// Command ring measures the ring between two processes: see the package doc of
// bench. It is run from the top of the work tree, by make bench-ring.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
)

var (
	rounds  = flag.Int("rounds", 30, "measure every figure that often")
	trips   = flag.Int("trips", 100_000, "round trips in a sample of small frames that spins")
	frames  = flag.Int("frames", 400_000, "frames in a sample of a stream of small ones that spins")
	sizes   = flag.String("sizes", "64", "bytes of payload in a frame, separated by commas")
	sleepy  = flag.Bool("sleep", false, "measure sides that sleep too")
	asJSON  = flag.Bool("json", false, "print JSON")
	minimum = 20 * minPieces
)

func main() {
	var err error
	if part := os.Getenv(partEnv); part != "" {
		err = play(part)
	} else {
		flag.Parse()
		err = measure()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench ring:", err)
		os.Exit(1)
	}
}

// figure is a row of the table.
type figure struct {
	Name   string  `json:"name"`
	Sides  string  `json:"sides"` // "go-go", "lua-go" or "go-lua": who writes, and who reads
	Way    string  `json:"way"`   // "round trip" or "one way"
	Size   int     `json:"bytes"` // of payload
	Sleep  bool    `json:"sleep"`
	Median float64 `json:"ns"` // for a round trip or a frame
	Least  float64 `json:"ns_least"`
	ToC    float64 `json:"to_c"` // median of the ratios within a round
	Rate   float64 `json:"mb_per_s,omitempty"`
	Target float64 `json:"-"` // of the ratio

	first, second string // parts
	lua           bool   // plays the second one
	steps         int
	ns            []float64
}

func measure() error {
	lengths, err := parseSizes(*sizes)
	if err != nil {
		return err
	}
	if *rounds < 1 || *trips < minimum || *frames < minimum {
		return fmt.Errorf("wants 1 round, %d round trips and frames at least", minimum)
	}
	b, err := prepare()
	if err != nil {
		return err
	}
	defer b.close()

	figures := list(lengths, *sleepy)
	if _, err := exec.LookPath("luajit"); err != nil {
		fmt.Fprintln(os.Stderr, "bench ring: left out: no luajit")
		figures = slices.DeleteFunc(figures, func(f *figure) bool { return f.lua })
	}
	var c []float64
	for round := range *rounds {
		fmt.Fprintf(os.Stderr, "\rround %d of %d", round+1, *rounds)
		ns, err := b.pingPong()
		if err != nil {
			return err
		}
		c = append(c, ns)
		for _, f := range figures {
			ns, err := b.pair(f)
			if err != nil {
				return fmt.Errorf("%s: %w", f.Name, err)
			}
			f.ns = append(f.ns, ns)
		}
	}
	fmt.Fprint(os.Stderr, "\r\033[K")
	for _, f := range figures {
		f.summarize(c)
	}
	if *asJSON {
		return json.NewEncoder(os.Stdout).Encode(result{median(c), figures})
	}
	report(figures, c, b)
	return nil
}

// result is what is printed as JSON.
type result struct {
	C       float64   `json:"c_rtt_ns"`
	Figures []*figure `json:"figures"`
}

// parseSizes reads a list of lengths, each of which fits into a frame.
func parseSizes(text string) (lengths []int, err error) {
	for word := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(word)
		if err != nil || n < 1 || n > capacity/4-4 {
			return nil, fmt.Errorf("size %q: want a number from 1 to %d", word, capacity/4-4)
		}
		lengths = append(lengths, n)
	}
	return lengths, nil
}

// list gives the figures of all lengths.
func list(lengths []int, sleepy bool) (figures []*figure) {
	add := func(f figure) {
		for _, f.Sleep = range []bool{false, true} {
			if !f.Sleep || sleepy {
				one := f
				one.name()
				figures = append(figures, &one)
			}
		}
	}
	for _, n := range lengths {
		add(figure{Sides: "go-go", Way: roundTrip, Size: n, Target: 1.5, first: "ask", second: "answer"})
		add(figure{Sides: "lua-go", Way: roundTrip, Size: n, Target: 2, first: "ask", second: "answer", lua: true})
		add(figure{Sides: "go-go", Way: oneWay, Size: n, Target: 1.0 / 6, first: "read", second: "write"})
		add(figure{Sides: "lua-go", Way: oneWay, Size: n, first: "read", second: "write", lua: true})
		add(figure{Sides: "go-lua", Way: oneWay, Size: n, first: "write", second: "read", lua: true})
	}
	return figures
}

const (
	roundTrip = "round trip"
	oneWay    = "one way"
)

// name fills in what follows from the rest: the name, and how many steps keep a
// sample short. Targets are for small frames and sides that spin.
func (f *figure) name() {
	waiting := "spinning"
	f.steps = *trips
	if f.Way == oneWay {
		f.steps = *frames
	}
	if f.Sleep {
		waiting = "sleeping"
	}
	if f.Sleep && f.Way == roundTrip {
		f.steps /= 20 // two wake-ups each
	}
	f.steps = max(f.steps*1024/(f.Size+1024), minimum)
	if f.Sleep || f.Size > 64 {
		f.Target = 0
	}
	f.Name = fmt.Sprintf("%s, %s, %s, %d bytes", f.Sides, f.Way, waiting, f.Size)
}

func (f *figure) summarize(c []float64) {
	ratios := make([]float64, len(c))
	for i := range c {
		ratios[i] = f.ns[i] / c[i]
	}
	f.Median, f.Least, f.ToC = median(f.ns), slices.Min(f.ns), median(ratios)
	if f.Way == oneWay {
		f.Rate = float64(f.Size) * 1000 / f.Median
	}
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
