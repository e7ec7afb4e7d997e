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
// # Ring
//
// make bench-ring (folder ring) measures the ring by itself: two processes,
// one segment, both sides looking all the time, no doorbells. A frame carries
// 64 bytes of payload, and every write and read is followed by the question
// whether the other side has to be woken, as in production.
//
//	round trip   one side writes a frame and spins until the answer is read;
//	             the other side answers each frame with one of the same size
//	one way      one side writes as fast as there is room, the other reads
//
// # Requests and events
//
// make bench (folder run) measures whole requests through nginx, and single
// events inside it, with the plugin in Go and with its twin in Lua: see the
// package suite. Nothing is pinned there, as nothing is in production. Its
// results go into the folder results, one folder for each machine.
package bench
