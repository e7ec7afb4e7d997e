package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kongring/kongring/bench"
	"github.com/kongring/kongring/luabridge"
	"github.com/kongring/kongring/ring"
)

// bed is what the samples need: programs, memory, cores.
type bed struct {
	dir, pingPongPath, helper, self string

	cpus      [2]int
	memory    *os.File
	mem       []byte
	pauseWins int
}

func prepare() (*bed, error) {
	if _, err := os.Stat(peerScript); err != nil {
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
func twoCPUs() ([2]int, error) {
	cpus, err := bench.CPUs()
	if err == nil && len(cpus) < 2 {
		err = errors.New("needs two CPUs")
	}
	if err != nil {
		return [2]int{}, err
	}
	return [2]int(cpus[:2]), nil
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

// peerScript is the LuaJIT side.
var peerScript = filepath.Join("bench", "ring", "peer.lua")

// part is one side of a figure: this program, or LuaJIT.
func (b *bed) part(f *figure, side int, name string, lua bool) *exec.Cmd {
	waiting := "spin"
	if f.Sleep {
		waiting = "sleep"
	}
	args := []string{name, strconv.Itoa(f.steps), strconv.Itoa(f.Size), waiting, strconv.Itoa(side)}
	if lua {
		cmd := exec.Command("luajit", append([]string{peerScript}, args...)...)
		cmd.Env = append(os.Environ(), "LUA_PATH=luabridge/?.lua;;", "KONGRING_HELPER="+b.helper)
		return cmd
	}
	cmd := exec.Command(b.self)
	cmd.Env = append(os.Environ(), partEnv+"="+strings.Join(args, " "))
	return cmd
}

// pair runs the two sides of a figure, each on its core, and gives what the
// first measured. Each side gets the memory, the doorbell of the other and its
// own.
func (b *bed) pair(f *figure) (ns float64, err error) {
	for _, mem := range rings(b.mem) {
		if err := ring.Format(mem); err != nil {
			return 0, err
		}
	}
	var bells, ringers [2]*os.File // of each side, and what rings it
	for i := range bells {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			return 0, fmt.Errorf("socketpair: %w", err)
		}
		bells[i] = os.NewFile(uintptr(fds[0]), "doorbell")
		defer bells[i].Close()
		ringers[i] = os.NewFile(uintptr(fds[1]), "doorbell")
		defer ringers[i].Close()
	}
	sides := [2]*exec.Cmd{b.part(f, 0, f.first, false), b.part(f, 1, f.second, f.lua)}
	var out bytes.Buffer
	sides[0].Stdout = &out
	for i, cmd := range sides {
		cmd.Stderr = os.Stderr
		cmd.ExtraFiles = []*os.File{b.memory, ringers[1-i], bells[i]}
		if err := startOn(b.cpus[i], cmd); err != nil {
			if i == 1 {
				_ = sides[0].Process.Kill()
				_ = sides[0].Wait()
			}
			return 0, err
		}
	}
	// A side whose peer died would wait for ever.
	ended := make(chan error, len(sides))
	for i, cmd := range sides {
		go func() {
			err := cmd.Wait()
			if err != nil {
				_ = sides[1-i].Process.Kill()
			}
			ended <- err
		}()
	}
	if err := errors.Join(<-ended, <-ended); err != nil {
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
