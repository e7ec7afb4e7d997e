package server

import (
	"bufio"
	"errors"
	"fmt"
	"sync"

	"github.com/kongring/kongring/ring"
	"github.com/kongring/kongring/server/wire"
	"github.com/kongring/kongring/shm"
)

// pump carries the frames of a session's private rings over its control
// connection, where shared memory is refused. It is the other end of both rings,
// in the worker's place: two goroutines, one for each direction. A pump on the
// worker's side does the same with rings of its own.
type pump struct {
	session  *session
	toServer *ring.Producer // owned by receive
	toWorker *ring.Consumer // owned by send
	buf      []byte         // of the last frame of toWorker
	room     waiter         // receive waits for room
	frames   waiter         // send waits for frames
}

// Bytes that are read at once, and that are gathered before they are written.
const streamBuffer = 64 << 10

// newPump makes the other end of a session's rings, which are private and were
// not used yet, and becomes their doorbell.
func newPump(n *session) (*pump, error) {
	p := &pump{session: n, room: make(waiter, 1), frames: make(waiter, 1)}
	var err error
	if p.toServer, err = ring.NewProducer(n.rings.segment.Region(wire.RegionToServer)); err != nil {
		return nil, err
	}
	if p.toWorker, err = ring.NewConsumer(n.rings.segment.Region(wire.RegionToWorker)); err != nil {
		return nil, err
	}
	n.rings.setDoorbell(p)
	return p, nil
}

// Ring is what the rings' other users do to whoever waits here.
func (p *pump) Ring() error {
	p.room.wake()
	p.frames.wake()
	return nil
}

// Close does nothing: the session's end ends the pump.
func (p *pump) Close() error { return nil }

// run carries frames until the session ends or the worker hangs up, which gives
// nil. The caller has joined the session; the worker was welcomed.
func (p *pump) run() error {
	n := p.session
	n.spawn(func() {
		if err := p.send(); err != nil {
			n.end(err)
		}
	})
	err := p.receive()
	if errors.Is(err, errProtocol) || errors.Is(err, ring.ErrCorrupt) || n.ctx.Err() != nil {
		return err
	}
	return nil // EOF, or reset by a worker that died, also in the middle of a frame
}

// receive puts what comes from the worker into the ring to the server.
func (p *pump) receive() error {
	stream := bufio.NewReaderSize(p.session.conn, streamBuffer)
	var buf []byte
	for {
		frame, err := readFrame(stream, buf, p.toServer.MaxPayload())
		if err == nil {
			buf = frame.Payload
			err = p.put(frame)
		}
		if err != nil {
			return err
		}
	}
}

// put writes one frame into the ring and wakes the reader. It waits for room:
// meanwhile nothing is read, and the worker's socket fills.
func (p *pump) put(frame ring.Frame) error {
	n := p.session
	for {
		sent, err := p.toServer.Write(frame.Payload, frame.More)
		if err != nil {
			return err
		}
		if p.toServer.ClaimWake() {
			_ = n.rings.bell.Ring()
		}
		if sent {
			return nil
		}
		if p.toServer.Wait(len(frame.Payload)) {
			select {
			case <-p.room:
			case <-n.ctx.Done():
				return errClosed
			}
		}
	}
}

// send writes what comes out of the ring to the worker, as much at once as there
// is. A worker that does not read makes it wait, and the ring fills.
func (p *pump) send() error {
	n := p.session
	var out []byte
	for {
		var err error
		if out, err = p.gather(out[:0]); err != nil {
			return err
		}
		if len(out) > 0 {
			p.giveRoom()
			if n.conn.Write(out, 0) != nil {
				return nil // receive sees the hang-up, behind what came before it
			}
			continue
		}
		if !p.toWorker.Sleep() {
			continue
		}
		p.giveRoom()
		select {
		case <-p.frames:
		case <-n.ctx.Done():
			return nil
		}
		p.toWorker.Awake()
	}
}

// gather puts frames of the ring to the worker behind out, until the ring is
// empty or out has streamBuffer bytes.
func (p *pump) gather(out []byte) ([]byte, error) {
	for len(out) < streamBuffer {
		frame, ok, err := p.toWorker.Read(p.buf)
		if !ok || err != nil {
			return out, err
		}
		p.buf = frame.Payload
		out = appendFrame(out, frame)
	}
	return out, nil
}

// giveRoom wakes the writers that wait for the room that was read free.
func (p *pump) giveRoom() {
	if p.toWorker.ClaimWake() {
		p.session.rings.wakeWriters()
	}
}

// localBell is a bell between goroutines.
type localBell struct {
	rung   waiter
	closed chan struct{}
	once   sync.Once
}

func newLocalBell() *localBell {
	return &localBell{rung: make(waiter, 1), closed: make(chan struct{})}
}

func (b *localBell) Ring() error {
	b.rung.wake()
	return nil
}

func (b *localBell) Wait() error {
	select {
	case <-b.rung:
		return nil
	case <-b.closed:
		return fmt.Errorf("wait on doorbell: %w", shm.ErrClosed)
	}
}

func (b *localBell) Close() error {
	b.once.Do(func() { close(b.closed) })
	return nil
}
