// Command ring measures the ring between two processes: see the package doc of
// bench. It is run from the top of the work tree, by make bench-ring.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"

	"golang.org/x/sys/unix"

	"github.com/kongring/kongring/bench"
	"github.com/kongring/kongring/luabridge"
	"github.com/kongring/kongring/ring"
)

const capacity = 512 << 10 // bytes in either ring, as a session has by default

var (
	rounds = flag.Int("rounds", 30, "measure every figure that often")
	trips  = flag.Int("trips", 100_000, "round trips in a sample")
	size   = flag.Int("size", 64, "bytes of payload in a frame")
	frames = flag.Int("frames", 400_000, "frames in a sample of the stream")
)

func main() {
	flag.Parse()
	var err error
	if part := os.Getenv(partEnv); part != "" {
		err = play(part)
	} else {
		err = measure()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench ring:", err)
		os.Exit(1)
	}
}

// figure is a row of the table.
type figure struct {
	name   string
	target float64 // of the ratio to C; 0 for C itself
	sample func() (float64, error)
	lua    bool // needs LuaJIT
	ns     []float64
}

func measure() error {
	if *rounds < 1 || *trips < 2*tripsInPiece || *frames < 2*framesInPiece {
		return fmt.Errorf("wants 1 round, %d round trips and %d frames at least", 2*tripsInPiece, 2*framesInPiece)
	}
	b, err := prepare()
	if err != nil {
		return err
	}
	defer b.close()

	figures := []*figure{
		{name: "C: cache line, two threads, round trip", sample: b.pingPong},
		{name: "ring, Go and Go, round trip", target: 1.5, sample: b.goGo},
		{name: "ring, Go and LuaJIT, round trip", target: 2, sample: b.goLua, lua: true},
		{name: "ring, Go to Go, one way, per frame", target: 1.0 / 6, sample: b.stream},
	}
	if _, err := exec.LookPath("luajit"); err != nil {
		fmt.Fprintln(os.Stderr, "bench ring: left out: no luajit")
		figures = slices.DeleteFunc(figures, func(f *figure) bool { return f.lua })
	}
	for round := range *rounds {
		fmt.Fprintf(os.Stderr, "\rround %d of %d", round+1, *rounds)
		for _, f := range figures {
			ns, err := f.sample()
			if err != nil {
				return fmt.Errorf("%s: %w", f.name, err)
			}
			f.ns = append(f.ns, ns)
		}
	}
	fmt.Fprint(os.Stderr, "\r")
	report(figures, b)
	return nil
}

func report(figures []*figure, b *bed) {
	fmt.Printf("%sCPUs    %d and %d; C was quicker %s in %d of %d rounds\n\n",
		bench.Machine(), b.cpus[0], b.cpus[1], "with pause", b.pauseWins, *rounds)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "%d bytes of payload\tmedian ns\tleast ns\t÷ C\ttarget\t\n", *size)
	c := figures[0].ns
	for _, f := range figures {
		ratios := make([]float64, len(c))
		for i := range c {
			ratios[i] = f.ns[i] / c[i]
		}
		target := ""
		if f.target > 0 {
			target = fmt.Sprintf("%.2f", f.target)
		}
		fmt.Fprintf(w, "%s\t%.0f\t%.0f\t%.2f\t%s\t\n", f.name, median(f.ns), slices.Min(f.ns), median(ratios), target)
	}
	_ = w.Flush()
	fmt.Printf("\nFigures of a shared machine whose other users come and go: %d rounds,\n"+
		"each ratio taken within its round. Compare runs by ratio, not by ns.\n", *rounds)
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// bed is what the samples need: programs, memory, cores.
type bed struct {
	dir, pingPongPath, helper, self string

	cpus      [2]int
	memory    *os.File
	mem       []byte
	pauseWins int
}

func prepare() (*bed, error) {
	if _, err := os.Stat(echoScript); err != nil {
		return nil, fmt.Errorf("not at the top of the work tree: %w", err)
	}
	b := &bed{}
	var err error
	if b.cpus, err = twoCPUs(); err != nil {
		return nil, err
	}
	if b.self, err = os.Executable(); err != nil {
		return nil, err
	}
	if b.dir, err = os.MkdirTemp("", "kongring-bench"); err != nil {
		return nil, err
	}
	if b.pingPongPath, err = bench.BuildPingPong(b.dir); err != nil {
		return nil, errors.Join(err, b.close())
	}
	if b.helper, err = luabridge.BuildHelper("cc", b.dir); err != nil {
		return nil, errors.Join(err, b.close())
	}
	if b.memory, b.mem, err = newMemory(); err != nil {
		return nil, errors.Join(err, b.close())
	}
	return b, nil
}

func (b *bed) close() error { return os.RemoveAll(b.dir) }

// twoCPUs gives the first two CPUs that this process may use.
func twoCPUs() (cpus [2]int, err error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return cpus, err
	}
	if set.Count() < 2 {
		return cpus, errors.New("needs two CPUs")
	}
	for cpu, n := 0, 0; n < 2; cpu++ {
		if set.IsSet(cpu) {
			cpus[n] = cpu
			n++
		}
	}
	return cpus, nil
}

func (b *bed) pingPong() (float64, error) {
	out, err := exec.Command(b.pingPongPath, fmt.Sprint(b.cpus[0]), fmt.Sprint(b.cpus[1]),
		fmt.Sprint(*trips), "1").Output()
	if err != nil {
		return 0, err
	}
	if strings.Contains(string(out), "with pause") {
		b.pauseWins++
	}
	return number(out)
}

func (b *bed) goGo() (float64, error) { return b.pair(b.part("ask"), b.part("answer")) }

func (b *bed) stream() (float64, error) { return b.pair(b.part("read"), b.part("write")) }

func (b *bed) goLua() (float64, error) {
	lua := exec.Command("luajit", echoScript, fmt.Sprint(*trips))
	lua.Env = append(os.Environ(), "LUA_PATH=luabridge/?.lua;;", "KONGRING_HELPER="+b.helper)
	return b.pair(b.part("ask"), lua)
}

// part is this program as one side of a figure.
func (b *bed) part(name string) *exec.Cmd {
	cmd := exec.Command(b.self, os.Args[1:]...)
	cmd.Env = append(os.Environ(), partEnv+"="+name)
	return cmd
}

// pair runs the two sides of a figure, each on its core, and gives what the
// first measured.
func (b *bed) pair(first, second *exec.Cmd) (float64, error) {
	for _, mem := range rings(b.mem) {
		if err := ring.Format(mem); err != nil {
			return 0, err
		}
	}
	var out bytes.Buffer
	first.Stdout = &out
	for i, cmd := range []*exec.Cmd{first, second} {
		cmd.Stderr = os.Stderr
		cmd.ExtraFiles = []*os.File{b.memory}
		if err := startOn(b.cpus[i], cmd); err != nil {
			return 0, err
		}
	}
	err := first.Wait()
	if err != nil {
		_ = second.Process.Kill()
	}
	if err := errors.Join(err, second.Wait()); err != nil {
		return 0, err
	}
	return number(out.Bytes())
}

// startOn starts cmd bound to a CPU: a process inherits the CPUs of the thread
// that starts it.
func startOn(cpu int, cmd *exec.Cmd) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var all, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return err
	}
	one.Set(cpu)
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return err
	}
	return errors.Join(cmd.Start(), unix.SchedSetaffinity(0, &all))
}

func number(out []byte) (float64, error) {
	var ns float64
	if _, err := fmt.Sscan(string(out), &ns); err != nil {
		return 0, fmt.Errorf("read a number from %q: %w", out, err)
	}
	return ns, nil
}

// echoScript is the LuaJIT side.
var echoScript = filepath.Join("bench", "ring", "echo.lua")
