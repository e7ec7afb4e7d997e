// Package bench holds what is measured and how.
//
// # Method
//
// A figure is compared only with figures of the same run on the same machine.
// A run goes round by round, and each round measures every figure once, so
// that what disturbs the machine for a while disturbs them all. Reported are
// the median and the smallest over the rounds, and the median of the ratios to
// C within a round.
//
// C is the round trip of a cache line between two cores (pingpong.c): what no
// software can beat. Everything runs alone and pinned: both sides of a figure
// get a core each, no other figure's process is alive meanwhile, and each
// sample is taken by fresh processes. A sample is cut into pieces of 500 round
// trips (5000 frames one way), and the median piece counts. Samples are short,
// since a virtual core moves about: its neighbour may be a thread of the same
// core now and a core of another cluster in a second.
//
// # Limits
//
// limits.c measures what the kernel's own ways cost between the same two cores:
// a system call, and round trips by futex, eventfd and Unix socket; and how long
// a copy there and back takes.
//
// # Ring
//
// make bench-ring (folder ring) measures the ring by itself: two processes, one
// segment. A frame carries 64 bytes of payload unless -sizes says otherwise, and
// every write and read is followed by the question whether the other side has to
// be woken, as in production.
//
//	round trip   one side writes a frame and waits until the answer is read;
//	             the other side answers each frame with one of the same size
//	one way      one side writes as fast as there is room, the other reads
//
// Both sides look all the time; with -sleep they are measured asleep as well:
// each waits on a socket whenever there is nothing to do. Sides that sleep take
// turns with a ring full of frames, so that a stream of theirs is one piece.
//
// # Requests, events and the rest
//
// make bench (folder run) measures everything: limits, ring, single events inside
// nginx, whole requests through it, bodies, scale, allocations, idle; with the
// plugin in Go, with its twin in Lua, and the stock way. See the package suite,
// which also lists the keys of the JSON. Nothing but limits and ring is pinned,
// as nothing is in production. Its results go into the folder results, one folder
// for each machine:
//
//	requests.txt   all tables
//	requests.json  the same, with every sample
//	targets.md     the project's targets beside what was measured
//	requests.svg, requests.png   requests per second against calls
//	latency.svg, latency.png     99th percentile of the latency against calls
//
// make bench-quick OUT=file.json takes less than a minute and is rough.
package bench
