// Package suite measures the whole of kongring beside the two other ways to run
// a plugin, in Lua and through Kong's stock plugin servers, and writes what came
// of it as text, JSON and pictures, with the project's targets beside it. The
// commands bench/run and kongring bench are its fronts.
//
// # Modes
//
// The plugin is calls of server/examples: N calls for each request. The table in
// modes.go lists what is compared:
//
//	lua        the twin in Lua, calls-lua, without any plugin server
//	ring       the plugin in Go, through the rings
//	ring-sync  the same without what spares round trips: each call is one
//	stock      the plugin in Go, as a Kong without the bridge calls it
//
// Only where modes are named (bench/run -modes) there is also
//
//	ring-metrics  as ring, by a server with -metrics that nobody scrapes
//
// The client of mode stock (bench/lua/stock) does what Kong's own does, on the
// same socket: MsgPack:1 with the pure Lua codec that Kong uses, and for each
// step a socket from the worker's pool, one send, a receive of what is there,
// and the socket given back. The server answers without memo there, as go-pdk
// does.
//
// While one mode is measured, no process of another is alive: a core that spins
// for one would keep the others awake. All cells of a table are measured once in
// each round; reported are the medians over the rounds, the least and the most,
// and ratios are medians of those within a round.
//
// # Kinds of calls
//
//	header   kong.request.get_header, eight names in turn
//	getters  method, path, client address and a query argument in turn
//	setter   kong.response.set_header
//	log      kong.log.debug, below the level that is logged
//	mix      of ten calls eight getters, a setter and a line
//
// # Limits and the ring
//
// bench/pingpong.c, bench/limits.c and the command bench/ring: see the package
// bench.
//
// # Whole requests
//
// Each sample starts nginx with one worker, and the plugin server if the mode
// has one. Traffic warms them up until the server has learned which values to
// have sent along; then wrk, with one thread, sends requests with eight headers
// to a route that Lua answers. An answer other than 2xx or 3xx, or an error of
// a socket, fails the run. wrk shares the cores with what it measures.
//
// CPU time is counted by the kernel in hundredths of a second: in a sample of
// one second, 1 % of a core. Switches of context, forced ones included, are
// those of all threads that the process has at the end of the sample.
//
// # Events
//
// The plugin calls-loop (bench/lua) runs the access handler of a plugin over and
// over within one request: an event without what the request around it costs,
// and without wrk.
//
// # Bodies
//
// One event that takes the request's body to the plugin and puts it back into
// kong.ctx.shared, in a loop as well; nginx keeps the body in memory. What Lua
// itself takes for that is in it, and told by mode lua. Beside it stands the
// time in which two cores copy as many bytes there and back in C: into shared
// memory and out of it, each way, and nothing else.
//
// # Scale
//
// Several nginx workers on one server; sessions without traffic, which this
// process attaches; and handlers that wait 10 ms. Left out of a quick run.
//
// # Allocations, idle
//
// The server's runtime counts its allocations (runtime.MemStats) over a loop of
// events. Without traffic, the ticks of worker and server together are counted;
// a quick run looks for 3 s and says what that makes in 10.
//
// # Soak
//
// The command bench/soak keeps one mode under full load for as long as it is told,
// in stretches of one wrk each, and looks at both processes meanwhile and between:
// after a stretch it waits until no event is under way and the connections are
// closed, so that what is left is what stays. It fails when a request fails, when
// the counters of the two sides differ in the end, when the median of a process's
// memory in the last fifth is more than 1.1 of that in the second, and when the
// last fifth has a descriptor or goroutine more throughout than the second had.
//
//	when, machine, mode, kind  as below; conns and calls are those of each stretch
//	load_after                 as machine.load, at the end
//	took_s, requests           until the end of the last stretch; answered, with 200
//	events                     that the server began, those of requests cut off included
//	verdict                    begins with ok or FAILED
//	samples[]                  one for each stretch:
//	  second                   of the soak, at its end
//	  rps p50_us p99_us        of wrk
//	  most_us                  the latest answer; 30 s is an error
//	  open, load               events under way and the machine's load in its middle
//	  waited                   share of it that the worker could run, but had no core
//	  worker, server           rss_kib, fds, goroutines (of the server), at rest
//
// # The JSON
//
//	when, took_s               start of the run, UTC, and how long it took
//	quick, rounds, seconds     what was asked for: seconds of a sample of requests
//	kind                       of the calls in whole requests
//	modes                      those that were asked for, with nothing but event and http; omitted if all were
//	machine                    cpu, cores, virtual, kernel, governor, go, nginx, luajit, load (before)
//	strays                     processes that were there before and could disturb; omitted if none
//	limits                     omitted on one core:
//	  c_rtt_ns                 round trip of a cache line between two cores, in C
//	  syscall_ns               getppid
//	  futex_rtt_ns             round trip between two threads that sleep on a futex,
//	  eventfd_rtt_ns           on an eventfd,
//	  socket_rtt_ns            on a Unix socket, with 64 bytes
//	ring                       64 bytes of payload, both sides spin; omitted on one core:
//	  c_rtt_ns                 as above, in the same rounds
//	  go_go_rtt_ns go_go_to_c  round trip, Go and Go; and ÷ C
//	  lua_go_rtt_ns lua_go_to_c            LuaJIT and Go
//	  go_go_frame_ns go_go_frame_to_c      one frame of a stream
//	  figures[]                sides (who writes, who reads), way ("round trip", "one way"),
//	                           bytes, sleep, ns, ns_least, to_c, mb_per_s
//	event[]                    mode, kind, n, ns_per_event, ns_least, ns_most
//	http[]                     mode, n, conns and the medians of:
//	  rps                      requests in a second
//	  p50_us p90_us p99_us     latency
//	  nginx_cpu_us             CPU time of the worker for one request
//	  server_cpu_us            CPU time of the plugin server for one request; 0 without one
//	  nginx_switches server_switches       switches of context for one request
//	  per_event                counters of both sides ÷ events; omitted without a ring:
//	    round_trips            calls that waited for an answer
//	    prefetch_hits          calls answered by what came with the event
//	    server_doorbells       times the server rang the worker
//	    server_sleeps          times the server slept
//	    worker_doorbells       times the worker rang the server
//	    worker_sleeps          times the worker's ring was marked as sleeping
//	  rps_to_lua p99_to_lua    ratios to mode lua
//	  rps_to_stock cpu_to_stock            ratios to mode stock, CPU of both processes together
//	  to_ring                  of ring-metrics: ratios rps, p99 and cpu to mode ring
//	  least, most              of each figure over the rounds
//	  samples[]                the figures of each round
//	body[]                     mode, bytes, ns_per_event, ns_least, ns_most, memcpy_ns,
//	                           to_memcpy (speed ÷ that of memcpy), mb_per_s (both ways)
//	scale                      omitted in a quick run:
//	  workers[]                workers, rps, p99_us
//	  idle_sessions            sessions, segment_kib, server_kib (for each), ns_per_event,
//	                           ns_per_event_alone, idle_ticks_per_10s
//	  slow_handlers[]          conns, handler_ms, rps, rps_possible
//	server.allocs_per_event    objects that an event without calls allocates
//	server.allocs[]            kind, n, per_event; what the plugin makes counts too
//	server.idle_ticks_per_10s  hundredths of a second that worker and server used
//	                           in 10 s without traffic, together
//	targets[]                  name, at_least (else at most), target, unit, measured (null if
//	                           it was not), note
package suite
