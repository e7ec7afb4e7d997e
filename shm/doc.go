// Package shm is a sealed shared segment and what connects two processes
// through it: create, hand over, map, wake, notice death. It knows nothing of
// what the regions hold.
//
//	+0            Header (4096 bytes): sizes, version, directory of regions
//	+Offset[0]    region 0     each region starts on a page
//	+Offset[1]    region 1
//	...
//	+Size
//
// # Life of a segment
//
// The creating side calls [Create]: an anonymous file (memfd) without a name
// anywhere, preallocated, so that no later store can fail for want of memory,
// and sealed against shrinking and growing, so that no peer can make a mapped
// page vanish (SIGBUS). It is handed over with its doorbell in a [Conn]'s
// welcome. The attaching side calls [Attach], directly or through [Dial]: it
// checks seals, size and every field of the header before the first use and
// keeps its own copy of the directory. The kernel frees the memory when the
// last mapping and the last descriptor are gone, however the processes died:
// nothing can go stale.
//
// Where the system refuses such a file, a worker attaches with HelloAttachSocket:
// each side has a segment with the same header in its own memory
// ([CreatePrivate]), and the connection carries what the two exchange.
//
// # Who gets at the memory
//
// Whoever got its descriptor, and nobody by a name. /proc/PID/fd and
// /proc/PID/mem of the two processes are open to who may trace them: root, and
// processes of the same user; the file's mode keeps the attaching side's other
// processes out, where that is another user than the creator. prctl's
// PR_SET_DUMPABLE could close /proc to the same user as well. It is not used:
// it would take core dumps, perf and debuggers away, while nginx makes its
// workers traceable again after they change user, and a process of the same user
// may attach, kill and replace a server in any case. The user is the border: a
// server whose neighbours are not to be trusted gets a user of its own.
//
// # Who wakes whom
//
// The creating side sleeps on a [Bell], one of a pair of sockets: a goroutine that
// waits is parked in the runtime's poller and holds no thread. The attaching side,
// when it is nginx, can watch no socket but its own connections: it opens a second
// one (HelloDoorbell) and each byte on it is one ring ([Conn.Ring]).
//
// # Who notices death
//
// The control connection stays open for the whole life of a session. Its
// hang-up, which the kernel sends however a process ends, is death; there is
// no heartbeat, since a process that the scheduler keeps waiting is not dead.
//
// # Closing
//
// Close of a [Segment] unmaps: the owner calls it when nobody uses a slice of
// a region any more. Close of a [Bell], a [Conn] or a [Listener] may be called
// by any goroutine at any time; it ends waits in progress with [ErrClosed].
// Close a second time does nothing and gives nil, everywhere.
package shm
