package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kongring/kongring/ring"
)

// partEnv names the side of a figure that this process plays.
const partEnv = "KONGRING_BENCH_PART"

// memoryFD is the descriptor of the shared memory in a process that plays a
// part: two rings, of which the first leads to the second process.
const memoryFD = 3

func newMemory() (*os.File, []byte, error) {
	fd, err := unix.MemfdCreate("kongring-bench", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, nil, fmt.Errorf("memfd_create: %w", err)
	}
	if err := unix.Ftruncate(fd, 2*int64(ringSize())); err != nil {
		return nil, nil, fmt.Errorf("ftruncate: %w", err)
	}
	mem, err := mapMemory(fd)
	return os.NewFile(uintptr(fd), "memory"), mem, err
}

func mapMemory(fd int) ([]byte, error) {
	mem, err := unix.Mmap(fd, 0, 2*ringSize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return nil, fmt.Errorf("mmap: %w", err)
	}
	return mem, nil
}

// ringSize is what a ring takes, and the second starts on a page.
func ringSize() int { return (ring.Size(capacity) + 4095) &^ 4095 }

func rings(mem []byte) [2][]byte {
	return [2][]byte{mem[:ring.Size(capacity)], mem[ringSize():][:ring.Size(capacity)]}
}

// wires are both rings from one side.
type wires struct {
	out    *ring.Producer
	in     *ring.Consumer
	pieces pieces
}

// What a piece of a sample consists of.
const (
	tripsInPiece  = 500
	framesInPiece = 5000
)

// pieces are the durations of the pieces of a sample: the median of them is not
// touched by the few in which somebody else had the core.
type pieces struct {
	ns   []float64
	last time.Time
}

// start makes room for the pieces of n steps, so that nothing is allocated
// while they are measured.
func (p *pieces) start(n int) { p.ns = make([]float64, 0, n/min(tripsInPiece, framesInPiece)) }

// step is called after each i; every size of them make a piece. The first is
// for warming up.
func (p *pieces) step(i, size int) {
	if (i+1)%size != 0 {
		return
	}
	now := time.Now()
	if i+1 > size {
		p.ns = append(p.ns, float64(now.Sub(p.last))/float64(size))
	}
	p.last = now
}

// median gives nanoseconds per step.
func (p *pieces) median() float64 { return median(p.ns) }

func play(part string) error {
	mem, err := mapMemory(memoryFD)
	if err != nil {
		return err
	}
	r := rings(mem)
	if part == "answer" || part == "write" {
		r[0], r[1] = r[1], r[0]
	}
	var w wires
	if w.out, err = ring.NewProducer(r[0]); err != nil {
		return err
	}
	if w.in, err = ring.NewConsumer(r[1]); err != nil {
		return err
	}
	switch part {
	case "ask":
		return w.ask()
	case "answer":
		return w.answer()
	case "write":
		return w.write()
	case "read":
		return w.read()
	}
	return errors.New("no such part: " + part)
}

var errLost = errors.New("a frame is not what was sent")

// send writes a frame as soon as there is room.
func (w *wires) send(payload []byte) error {
	for {
		ok, err := w.out.Write(payload, false)
		if err != nil {
			return err
		}
		if w.out.ClaimWake() {
			return errors.New("somebody sleeps")
		}
		if ok {
			return nil
		}
		ring.Pause(1)
	}
}

// receive spins until a frame is there.
func (w *wires) receive(buf []byte) ([]byte, error) {
	for !w.in.Spin(1 << 20) {
	}
	f, _, err := w.in.Read(buf)
	if w.in.ClaimWake() {
		return nil, errors.New("somebody waits for room")
	}
	return f.Payload, err
}

func (w *wires) ask() error {
	payload, buf := make([]byte, *size), make([]byte, 0, w.in.MaxPayload())
	w.pieces.start(*trips)
	for i := range *trips {
		payload[0] = byte(i)
		if err := w.send(payload); err != nil {
			return err
		}
		got, err := w.receive(buf)
		if err != nil {
			return err
		}
		if !bytes.Equal(got, payload) {
			return errLost
		}
		w.pieces.step(i, tripsInPiece)
	}
	fmt.Println(w.pieces.median())
	return nil
}

func (w *wires) answer() error {
	buf := make([]byte, 0, w.in.MaxPayload())
	for range *trips {
		got, err := w.receive(buf)
		if err != nil {
			return err
		}
		if err := w.send(got); err != nil {
			return err
		}
	}
	return nil
}

func (w *wires) write() error {
	payload := make([]byte, *size)
	for i := range *frames {
		payload[0] = byte(i)
		if err := w.send(payload); err != nil {
			return err
		}
	}
	return nil
}

func (w *wires) read() error {
	buf := make([]byte, 0, w.in.MaxPayload())
	w.pieces.start(*frames)
	for i := range *frames {
		got, err := w.receive(buf)
		if err != nil {
			return err
		}
		if len(got) != *size || got[0] != byte(i) {
			return errLost
		}
		w.pieces.step(i, framesInPiece)
	}
	fmt.Println(w.pieces.median())
	return nil
}
