package chaos

import (
	"time"

	"golang.org/x/sys/unix"
)

// fault is something that goes wrong on purpose. It is done to a server and a
// worker that were chosen by lot, holds for a while, and is undone.
type fault struct {
	name   string
	allows kinds            // answers, besides the one that a request asks for
	hold   [2]time.Duration // bounds of the time from do to undo
	do     func(e *episode) error
	undo   func(e *episode) error // nil where it is over by itself

	// well tells whether an answer shows that all is well again. The time to
	// the first such answer that a request got counts from when undo is done,
	// or do where there is no undo; fromDo has it count from the start of do.
	well   func(e *episode, a *answer) bool
	fromDo bool

	on       side // what it is done to; a server's and a worker's can be done at once
	stopped  bool // the server answers nobody: a worker that starts meanwhile has none
	inFlight bool // do kills the server: the answers of its events are timed
}

// side is what a fault is done to.
type side int

const (
	alone side = iota // to both, or to the clients: never beside another one
	aServer
	aWorker
)

const ms = time.Millisecond

// faults is the table: the answers that a fault allows are a promise, those of
// the README's section on what happens when a side dies.
var faults = []fault{
	{name: "server killed", on: aServer, allows: unavailable, hold: [2]time.Duration{0, 300 * ms},
		do: killServer, undo: startServer, well: passedServer, inFlight: true},
	{name: "server stopped for a while", on: aServer, hold: [2]time.Duration{100 * ms, 1500 * ms},
		do: signalServer(unix.SIGSTOP), undo: signalServer(unix.SIGCONT), well: passedServer, stopped: true},
	{name: "server stopped for too long", on: aServer, allows: timeout, hold: [2]time.Duration{limit + 200*ms, limit + 1000*ms},
		do: signalServer(unix.SIGSTOP), undo: signalServer(unix.SIGCONT), well: passedServer, stopped: true},
	{name: "server ended", on: aServer, allows: unavailable, hold: [2]time.Duration{0, 300 * ms},
		do: endServer, undo: startServer, well: passedServer},
	{name: "server replaced", on: aServer, hold: [2]time.Duration{0, 300 * ms},
		do: startServer, undo: endFormer, well: passedServer},
	// 500: the server itself reads a body that nginx wrote to a file.
	{name: "server without descriptors, reload", on: aServer, allows: unavailable | failed, hold: [2]time.Duration{200 * ms, 2500 * ms},
		do: starveServer, undo: release, well: freshWorker},
	{name: "server killed, then without memory", on: aServer, allows: unavailable, hold: [2]time.Duration{200 * ms, 1000 * ms},
		do: refuseMemory, undo: replace, well: passedServer, inFlight: true},

	{name: "worker killed", on: aWorker, allows: cut, do: signalWorker(unix.SIGKILL), well: freshWorker, fromDo: true},
	{name: "worker ended", on: aWorker, allows: cut, do: signalWorker(unix.SIGTERM), well: freshWorker, fromDo: true},
	{name: "worker told to leave", on: aWorker, do: signalWorker(unix.SIGQUIT), well: freshWorker, fromDo: true},
	{name: "worker stopped for a while", on: aWorker, hold: [2]time.Duration{100 * ms, 1500 * ms},
		do: signalWorker(unix.SIGSTOP), undo: signalWorker(unix.SIGCONT), well: thatWorker},
	{name: "worker stopped for too long", on: aWorker, allows: timeout, hold: [2]time.Duration{limit + 200*ms, limit + 1000*ms},
		do: signalWorker(unix.SIGSTOP), undo: signalWorker(unix.SIGCONT), well: thatWorker},
	{name: "worker without descriptors, server killed", allows: unavailable | failed, hold: [2]time.Duration{200 * ms, 1000 * ms},
		do: starveWorker, undo: release, well: thatWorker},

	{name: "reload", on: aWorker, do: reload, well: freshWorker, fromDo: true},
	{name: "config changed, reload", on: aWorker, do: changeConfig, well: freshWorker, fromDo: true},

	{name: "clients vanish", do: vanishing},
	{name: "handlers panic", do: crowd(200, "panic", failed)},
	{name: "handlers are slow", do: crowd(100, "slow:400", fine)},
	{name: "full rings, server stopped", on: aServer, hold: [2]time.Duration{100 * ms, 1000 * ms},
		do: pressure, undo: signalServer(unix.SIGCONT), well: passedServer, stopped: true},
	{name: "full rings, server stopped for too long", on: aServer, allows: timeout, hold: [2]time.Duration{limit + 200*ms, limit + 1000*ms},
		do: pressure, undo: signalServer(unix.SIGCONT), well: passedServer, stopped: true},
}

// passedServer: the server's plugin was in it.
func passedServer(e *episode, a *answer) bool {
	return a.kind == fine && a.header.Get("x-by-"+e.name) != ""
}

// thatWorker: the worker gave it.
func thatWorker(e *episode, a *answer) bool { return a.kind == fine && a.worker == e.worker.String() }

// freshWorker: a worker gave it that was not there before.
func freshWorker(e *episode, a *answer) bool { return a.kind == fine && !e.before[a.worker] }
