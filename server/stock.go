package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tinylib/msgp/msgp"

	"github.com/kongring/kongring/server/metrics"
	"github.com/kongring/kongring/server/pdk/bridge"
	"github.com/kongring/kongring/shm"
)

// Limits of the stock path.
const (
	stockTime      = 60 * time.Second // Kong's sockets wait as long for an answer
	maxStockConns  = 4096
	maxStockEvents = 1 << 16
)

// stock serves a Kong without the bridge: its plugin server protocol MsgPack:1,
// which is MessagePack-RPC with a round trip for each PDK call. Kong takes its
// connections from a pool, so everything goes by id and nothing by connection.
// Its methods may be called by any goroutine.
type stock struct {
	server *Server
	ctx    context.Context // ends with the server
	cancel context.CancelCauseFunc
	time   time.Duration // how long an event waits for either side

	underWay atomic.Int64   // handlers that run, and requests without their answer
	calls    *metrics.Calls // nil without metrics

	mu           sync.Mutex
	conns        int
	events       map[uint64]*stockEvent
	instances    map[uint64]*stockInstance
	lastEvent    uint64
	lastInstance uint64
	closed       bool
	cells        map[*plugin]*cells
	nowhere      metrics.Cell // events that were refused before they had a plugin
}

func newStock(s *Server) *stock {
	ctx, cancel := context.WithCancelCause(context.Background())
	k := &stock{
		server: s, ctx: ctx, cancel: cancel, time: stockTime, calls: s.newCalls(),
		events: map[uint64]*stockEvent{}, instances: map[uint64]*stockInstance{},
		lastEvent: firstStockID(), lastInstance: firstStockID(),
		cells: map[*plugin]*cells{},
	}
	for _, p := range s.options.plugins {
		k.cells[p] = new(cells)
	}
	return k
}

// firstStockID is where a process starts to count. Kong hears of a restart with
// the answer to its next request, which still has a number of the old process:
// that must not be another instance's of the new one. A number in Lua is exact up
// to 2⁵³.
func firstStockID() uint64 { return rand.Uint64N(1<<31) << 21 }

// errHungUp ends an event whose peer went away while it waited for the handler.
var errHungUp = fmt.Errorf("%w: the worker hung up", bridge.ErrOver)

// close ends all events and gives back the instances: Kong closes those that it
// replaces and no others.
func (k *stock) close() {
	k.cancel(fmt.Errorf("%w: the plugin server stopped", bridge.ErrOver))
	k.mu.Lock()
	left := k.instances
	k.instances, k.closed = map[uint64]*stockInstance{}, true
	k.mu.Unlock()
	for _, in := range left {
		k.server.registry.release(in.instance)
	}
	if len(left) > 0 {
		k.server.options.logger.Info("instances that Kong did not close", "instances", len(left))
	}
}

// enter counts a connection in, unless there are too many.
func (k *stock) enter() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.conns >= maxStockConns {
		return false
	}
	k.conns++
	return true
}

func (k *stock) leave() {
	k.mu.Lock()
	k.conns--
	k.mu.Unlock()
}

// serve serves a connection until its end.
func (k *stock) serve(conn *shm.Conn) {
	if !k.enter() {
		k.server.noteRefusal(conn, fmt.Sprintf("%d connections are open: that is the limit", maxStockConns))
		return
	}
	defer k.leave()
	requests, gone := make(chan *stockRequest), make(chan struct{})
	done := make(chan struct{})
	var failed error // written before gone is closed
	// A goroutine of its own reads, so that a hang-up is noticed while a handler
	// keeps the answer.
	go func() {
		defer close(gone)
		reader := newStockReader(conn, k.server.options.maxMessage)
		for {
			request, err := reader.next()
			if err != nil {
				failed = err
				return
			}
			select {
			case requests <- request:
			case <-done:
				return
			}
		}
	}()
	err := k.answerAll(conn, requests, gone)
	_ = conn.Close()
	close(done)
	<-gone
	if err = errors.Join(err, failed); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, shm.ErrClosed) {
		k.server.options.logger.Warn("connection closed", "peer", conn.Peer.String(), "error", err)
	}
}

// answerAll answers requests, one at a time, until the peer is gone or does not
// read.
func (k *stock) answerAll(conn *shm.Conn, requests <-chan *stockRequest, gone <-chan struct{}) error {
	// Kong takes a change of the number for a restart and forgets its instances.
	out := msgp.AppendArrayHeader(nil, 3)
	out = msgp.AppendInt(out, stockNotification)
	out = msgp.AppendInt(msgp.AppendString(out, "serverPid"), os.Getpid())
	for {
		select {
		case request := <-requests:
			k.underWay.Add(1)
			// Looked at once: what began here goes on here.
			request.elsewhere = k.succession(request)
			result, undo, err := k.answer(request, gone)
			out = appendStockResponse(out, request.id, result, err)
			err = conn.Write(out, k.time)
			if err != nil && undo != nil {
				undo()
			}
			k.underWay.Add(-1)
			if err != nil || request.elsewhere {
				return err
			}
		case <-gone:
			return nil
		}
		if cap(out) > keepBytes {
			out = nil
		}
		out = out[:0]
	}
}

// succession tells whether a connection ends with the answer to a request,
// because another server has taken over: Kong asks that one then, on a new
// connection. Its pool has connections to both meanwhile, and an instance of one
// is unknown to the other. An event is refused with the words by which Kong
// starts its instance anew, and asks again; an instance is given all the same,
// since for an error there Kong fails the request. Events under way go on.
func (k *stock) succession(request *stockRequest) bool {
	begins := request.method == "plugin.HandleEvent" || request.method == "plugin.StartInstance"
	return begins && k.server.replaced()
}

// answer gives the result of a request, as a message; undo, if it is not nil,
// takes back what the peer did not hear of.
func (k *stock) answer(request *stockRequest, gone <-chan struct{}) (result []byte, undo func(), err error) {
	if request.tooLong && !stockSteps[request.method] {
		return nil, nil, fmt.Errorf("%s: the request is longer than %d bytes", request.method, k.server.options.maxMessage)
	}
	switch request.method {
	case "plugin.StartInstance":
		return k.startInstance(request)
	case "plugin.CloseInstance":
		result, err = k.closeInstance(request)
	case "plugin.InstanceStatus":
		result, err = k.instanceStatus(request)
	case "plugin.HandleEvent":
		result, err = k.handleEvent(request, gone)
	default:
		if !stockSteps[request.method] {
			return nil, nil, fmt.Errorf("no method %s", request.method)
		}
		result, err = k.step(request, gone)
	}
	return result, nil, err
}
