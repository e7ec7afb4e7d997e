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
// # What a plugin may rely on
//
// Handlers of one instance run side by side, as with go-pdk. A handler that
// panics fails its event and nothing else. When the worker goes away, or the
// event's time is over, the event's context is cancelled and PDK calls give an
// error.
package server
