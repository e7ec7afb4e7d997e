// Package metrics has what a plugin server counts of events, by plugin and phase,
// and how that is shown: to Prometheus, with what else a server counts anyway,
// over HTTP.
//
// The counters are a [Cell] for each plugin and phase of a session, and [Calls] by
// method where somebody asked for metrics. The same cells are in the server's
// statistics, which kongring top reads: nothing is counted twice.
package metrics
