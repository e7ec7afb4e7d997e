// Package server hosts Go plugins for Kong: it is go-pdk's server package over
// shared memory. Most plugins call [StartServer] and nothing else; [New] puts
// several plugins into one process.
//
// # The way of an event
//
// A worker of nginx attaches and becomes a session (session.go): one segment
// with a ring in each direction (rings.go). A goroutine with the session's
// reader role (reader.go) takes an EVENT from the ring and runs the plugin's
// handler itself (event.go). A PDK call of the handler sends a CALL and reads
// the ring on until its RETURN is there; no other goroutine takes part. When a
// handler is slow, the role is taken from it, and others read on.
//
// # Without shared memory
//
// Where the system refuses the segment, or WithCarrier says so (carrier.go), a
// worker attaches by the socket. The session is the same, over rings in this
// process's own memory: a pump (pump.go) is at their other end and carries the
// frames over the control connection, in the format of stream.go. So reader,
// events and limits do not know the difference; the end of a connection, in the
// middle of a frame too, is the worker's death, and a word that makes no sense
// ends the session.
//
// # Waiting
//
// Waking a thread on another core costs 3 to 6 µs on bare metal and about 30 µs
// on a virtual machine, whatever the mechanism; a look at a word in memory costs
// next to nothing. So each side climbs a ladder, and comes down from it by what
// it measures. The figures are constants in look.go, and in
// luabridge/kongring/session_wait.lua for the worker.
//
// The reader here:
//
//  1. Looks. A frame that is there costs no more.
//  2. Looks on for up to lookMicros, with its processor offered to other threads
//     after each microsecond. A microsecond is counted in PAUSE instructions,
//     which take from 5 to 140 cycles depending on the processor: spinUnit
//     measures how many make one.
//  3. Sleeps on the doorbell, after it has said so and looked once more.
//
// What counts is whether looking on paid, that is, whether a frame came. After
// lookPatience times in a row in vain it is left out but for one time in
// lookProbe; the first that pays brings it back. Where cores are scarce the
// offer lets the worker, or whoever sends it requests, run instead, and a look
// that nobody else's work shortens stays in vain and ends. Not more than half of
// GOMAXPROCS, and one at least, look on at a time, over all sessions.
//
// The worker, whose loop must not stand still:
//
//  1. Looks on in the C helper for SPIN_US, only while no other event of the
//     session is under way and the server is awake: SPIN_PATIENCE and SPIN_PROBE
//     are the same rule as above.
//  2. Yields to nginx, and a light thread looks once per turn of its loop for all
//     that wait, where nginx has OpenResty's patches, as Kong's has: without them
//     nothing can be made to wait for the next turn, and the doorbell is next. It
//     also rings the server, if that sleeps: once for all the events of the turn,
//     which is what batches them when cores are scarce. After LOOK_TURNS turns
//     that brought nothing, and at once where that happened LOOK_PATIENCE times
//     in a row (but for one time in LOOK_PROBE),
//  3. it says so and sleeps; the server rings its doorbell connection with the
//     next frame.
//
// Without traffic both sides sleep, and nothing runs but by a doorbell.
//
// # Before anything runs
//
// Package schema makes Kong's schema from the config struct (SCHEMA.md); a
// struct that has none stops the server. [Check] looks for more.
//
// # Beginning and end
//
// [Run] is what a binary's main function calls: it reads the flags (flags.go).
// Serve listens by bind and rename, or on systemd's socket (systemd.go), and
// stops by handing its workers over (stop.go). A server that nginx started, and
// that nginx left behind, stops by itself (parent.go). OPERATING.md is for those
// who run one.
//
// # Figures
//
// Each session counts its events by plugin and phase (cells.go), under a lock that
// it takes at an event's end anyway. [Server.Stats] reads that, and so does
// [WithMetrics] for Prometheus (metrics.go, observe.go, package metrics), where a
// session that ends adds its own to the server's, so that no total falls. How long
// events take costs looks at the clock and is measured only while somebody wants to
// know (stopwatch.go).
//
// # Who looks on
//
// The control socket has two more uses: the figures of all sessions (stats.go), and
// a copy of one session's frames (trace.go), for the command kongring. A Tracer of
// the program's (span.go) is told of events; package spans is one.
//
// # What a plugin may rely on
//
// Handlers of one instance run side by side, as with go-pdk. A handler that
// panics fails its event and nothing else. When the worker goes away, or the
// event's time is over, the event's context is cancelled and PDK calls give an
// error.
package server
