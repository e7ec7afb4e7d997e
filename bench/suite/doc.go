// Package suite measures whole requests and single events through nginx, and
// writes what came of it as text, JSON and a picture. The command bench/run is
// its front.
//
// The plugin is calls of server/examples: N calls for each request. Its twin in
// Lua, calls-lua, does the same work without any plugin server. The table in
// modes.go lists what is compared. While one mode is measured, no process of
// another is alive: a core that spins for one would keep the others awake.
//
// # Whole requests
//
// Each sample starts nginx with one worker, and the plugin server if the mode
// has one. Traffic warms them up until the server has learned which values to
// have sent along; then wrk, with one thread, sends requests with eight headers
// to a route that Lua answers. An answer other than 2xx or 3xx, or an error of
// a socket, fails the run. All cells of the table are measured once in each
// round; reported are the medians over the rounds, the least and the most, and
// for req/s and p99 the median of the ratios to mode lua within a round. wrk
// shares the cores with what it measures.
//
// CPU time is counted by the kernel in hundredths of a second: in a sample of
// one second, 1 % of a core.
//
// # Events
//
// The plugin calls-loop (bench/lua) runs the access handler of calls or of its
// twin over and over within one request: an event without what the request
// around it costs, and without wrk. Mode ring-sync turns off what spares round
// trips, so that each call is one.
//
// # The JSON
//
//	when                       start of the run, UTC
//	quick, rounds, seconds     what was asked for: seconds of a sample of requests
//	kind                       of the calls in whole requests
//	machine                    cpu, cores, virtual, kernel, go, nginx, luajit, load (before)
//	strays                     processes that were there before and could disturb; omitted if none
//	limits.c_rtt_ns            round trip of a cache line between two cores, in C; omitted on one core
//	event[]                    mode, kind, n, ns_per_event, ns_least, ns_most
//	http[]                     mode, n, conns and the medians of:
//	  rps                      requests in a second
//	  p50_us p90_us p99_us     latency
//	  nginx_cpu_us             CPU time of the worker for one request
//	  server_cpu_us            CPU time of the plugin server for one request; 0 without one
//	  per_event                counters of both sides ÷ events; omitted without a server:
//	    round_trips            calls that waited for an answer
//	    prefetch_hits          calls answered by what came with the event
//	    server_doorbells       times the server rang the worker
//	    server_sleeps          times the server slept
//	    worker_doorbells       times the worker rang the server
//	    worker_sleeps          times the worker's ring was marked as sleeping
//	  rps_to_lua p99_to_lua    ratios to mode lua
//	  least, most              of each figure over the rounds
//	  samples[]                the figures of each round
//	server.idle_ticks_per_10s  hundredths of a second that worker and server used
//	                           in 10 s without traffic, together
//
// What the ring costs by itself is not in here: make bench-ring measures that.
package suite
