package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kongring/kongring/ring"
	"github.com/kongring/kongring/shm"
)

// partEnv says which side of a figure this process plays: its name, how many
// steps, bytes of payload, and "spin" or "sleep".
const partEnv = "KONGRING_BENCH_PART"

// Descriptors of a process that plays a part: the memory, the doorbell of the
// other side, its own.
const (
	memoryFD = 3 + iota
	theirBellFD
	ownBellFD
)

// wires are both rings from one side.
type wires struct {
	steps, size int
	sleep       bool

	out    *ring.Producer
	in     *ring.Consumer
	theirs *shm.Bell
	own    *shm.Bell
	pieces pieces
}

// What a piece of a sample consists of at most; a sample has minPieces of them
// at least, but for the first.
const (
	tripsInPiece  = 500
	framesInPiece = 5000
	minPieces     = 5
)

// pieces are the durations of the pieces of a sample: the median of them is not
// touched by the few in which somebody else had the core.
type pieces struct {
	size int
	ns   []float64
	last time.Time
}

// start makes room for the pieces of n steps, size in each, so that nothing is
// allocated while they are measured.
func (p *pieces) start(n, size int) {
	p.size = size
	p.ns = make([]float64, 0, n/size)
}

// step is called after each i. The first piece is for warming up.
func (p *pieces) step(i int) {
	if (i+1)%p.size != 0 {
		return
	}
	now := time.Now()
	if i+1 > p.size {
		p.ns = append(p.ns, float64(now.Sub(p.last))/float64(p.size))
	}
	p.last = now
}

// median gives nanoseconds per step.
func (p *pieces) median() float64 { return median(p.ns) }

func play(part string) error {
	var w wires
	var side int
	var name, waiting string
	if _, err := fmt.Sscan(part, &name, &w.steps, &w.size, &waiting, &side); err != nil {
		return fmt.Errorf("part %q: %w", part, err)
	}
	w.sleep = waiting == "sleep"
	if err := w.open(side); err != nil {
		return err
	}
	switch name {
	case "ask":
		return w.ask()
	case "answer":
		return w.answer()
	case "write":
		return w.write()
	case "read":
		return w.read()
	}
	return errors.New("no such part: " + name)
}

// open takes the ends of one side, the first (0) or the second (1).
func (w *wires) open(side int) error {
	mem, err := mapMemory(memoryFD)
	if err != nil {
		return err
	}
	r := rings(mem)
	if w.out, err = ring.NewProducer(r[side]); err != nil {
		return err
	}
	if w.in, err = ring.NewConsumer(r[1-side]); err != nil {
		return err
	}
	w.theirs, err = openBell(theirBellFD)
	if err == nil {
		w.own, err = openBell(ownBellFD)
	}
	return err
}

func openBell(fd int) (*shm.Bell, error) {
	// So that a goroutine that waits is parked; os/exec may have changed it.
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, fmt.Errorf("doorbell: %w", err)
	}
	return shm.OpenBell(os.NewFile(uintptr(fd), "doorbell")), nil
}

var errLost = errors.New("a frame is not what was sent")

// rouse rings the other side if it has to be woken.
func (w *wires) rouse(claimed bool) error {
	switch {
	case !claimed:
		return nil
	case !w.sleep:
		return errors.New("somebody sleeps")
	}
	return w.theirs.Ring()
}

// send writes a frame as soon as there is room.
func (w *wires) send(payload []byte) error {
	for {
		ok, err := w.out.Write(payload, false)
		if err != nil {
			return err
		}
		if err := w.rouse(w.out.ClaimWake()); err != nil || ok {
			return err
		}
		if !w.sleep {
			ring.Pause(1)
		} else if w.out.Wait(len(payload)) {
			if err := w.own.Wait(); err != nil {
				return err
			}
		}
	}
}

// await looks for a frame, or sleeps, until one is there.
func (w *wires) await() error {
	if !w.sleep {
		for !w.in.Spin(1 << 20) {
		}
		return nil
	}
	for !w.in.Ready() {
		announced := w.in.Sleep()
		if err := w.rouse(w.in.ClaimWake()); err != nil {
			return err
		}
		if !announced {
			continue
		}
		if err := w.own.Wait(); err != nil {
			return err
		}
		w.in.Awake()
	}
	return nil
}

func (w *wires) receive(buf []byte) ([]byte, error) {
	if err := w.await(); err != nil {
		return nil, err
	}
	f, _, err := w.in.Read(buf)
	if err == nil {
		err = w.rouse(w.in.ClaimWake())
	}
	return f.Payload, err
}

func (w *wires) ask() error {
	payload, buf := make([]byte, w.size), make([]byte, 0, w.in.MaxPayload())
	w.pieces.start(w.steps, min(tripsInPiece, w.steps/(minPieces+1)))
	for i := range w.steps {
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
		w.pieces.step(i)
	}
	fmt.Println(w.pieces.median())
	return nil
}

func (w *wires) answer() error {
	buf := make([]byte, 0, w.in.MaxPayload())
	for range w.steps {
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

// streamPiece is how many frames make a piece of a stream. Sides that sleep take
// turns, a ring full at a time: only many of these together say what a frame
// costs, so there is one piece, half of the sample.
func (w *wires) streamPiece() int {
	if w.sleep {
		return w.steps / 2
	}
	return min(framesInPiece, w.steps/(minPieces+1))
}

// write measures too, for a reader that is no Go: a full ring keeps it at the
// reader's pace.
func (w *wires) write() error {
	payload := make([]byte, w.size)
	w.pieces.start(w.steps, w.streamPiece())
	for i := range w.steps {
		payload[0] = byte(i)
		if err := w.send(payload); err != nil {
			return err
		}
		w.pieces.step(i)
	}
	fmt.Println(w.pieces.median())
	return nil
}

func (w *wires) read() error {
	buf := make([]byte, 0, w.in.MaxPayload())
	w.pieces.start(w.steps, w.streamPiece())
	for i := range w.steps {
		got, err := w.receive(buf)
		if err != nil {
			return err
		}
		if len(got) != w.size || got[0] != byte(i) {
			return errLost
		}
		w.pieces.step(i)
	}
	fmt.Println(w.pieces.median())
	return nil
}
