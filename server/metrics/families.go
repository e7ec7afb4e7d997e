package metrics

import "github.com/prometheus/client_golang/prometheus"

// family is all that Prometheus calls by one name.
type family struct {
	name, help string
	kind       prometheus.ValueType // of a histogram untyped
	labels     []string
	desc       *prometheus.Desc
}

// families are those of this package, in the order of what follows.
var families []*family

func newFamily(kind prometheus.ValueType, name, help string, labels []string) *family {
	name = "kongring_" + name
	f := &family{name, help, kind, labels, prometheus.NewDesc(name, help, labels, nil)}
	families = append(families, f)
	return f
}

func counter(name, help string, labels ...string) *family {
	return newFamily(prometheus.CounterValue, name, help, labels)
}

func gauge(name, help string, labels ...string) *family {
	return newFamily(prometheus.GaugeValue, name, help, labels)
}

func histogram(name, help string, labels ...string) *family {
	return newFamily(prometheus.UntypedValue, name, help, labels)
}

// What is counted of events, on all ways: rings, socket and Kong's stock way. The
// methods are counted for the metrics alone.
var (
	events = counter("events_total",
		"Events that ended, however, by plugin and phase; refused ones are in kongring_event_errors_total alone.", "plugin", "phase")
	duration = histogram("event_duration_seconds",
		"Time from when the server took an event until its handler had ended, time in the queue included.", "plugin", "phase")
	eventErrors = counter("event_errors_total",
		"Events that ended badly or were refused, by kind; refusals but for busy have neither plugin nor phase.", "plugin", "phase", "kind")
	pdkCalls = counter("pdk_calls_total",
		"PDK calls of events that ended, by how they were answered.", "plugin", "phase", "answered")
	wasted = counter("prefetch_wasted_total",
		"Values that came along with events and that nobody asked for.", "plugin", "phase")
	methodCalls = counter("pdk_method_calls_total",
		"PDK calls by method and by how they were answered; the method flush is a message that only took writes along.", "method", "answered")
)

// What the sessions count, over rings and socket.
var (
	begun = counter("session_events_begun_total",
		"Events begun, refused ones included, in the word of each side: server or worker.", "side")
	ended = counter("session_events_ended_total",
		"Events that ended while their session lasted, in the word of each side.", "side")
	frames        = counter("frames_total", "Frames by the side that wrote them.", "from")
	frameBytes    = counter("frame_bytes_total", "Payload bytes of frames by the side that wrote them.", "from")
	spins         = counter("spins_total", "Looks at an empty ring, by side, and by whether a frame came in time: paid or unpaid.", "side", "outcome")
	sleeps        = counter("sleeps_total", "Times a side slept until its doorbell, or was about to.", "side")
	doorbells     = counter("doorbells_total", "Times a side rang the other one.", "side")
	fullWaits     = counter("full_waits_total", "Times a side waited for room in the ring that it writes.", "side")
	lateFrames    = counter("late_frames_total", "Messages, by the side that read them, for a slot that went on to something else.", "side")
	handovers     = counter("handovers_total", "Times the ring was taken from a slow handler.")
	profiles      = counter("prefetch_profiles_total", "Times a worker was told what to send along with events.")
	started       = counter("instances_started_total", "Instances that sessions started or joined.")
	startFailures = counter("instance_start_failures_total", "Instances that did not start.")

	workerErrors    = counter("worker_event_errors_total", "Events that ended badly, in the worker's word.")
	workerDeadlines = counter("worker_event_deadlines_total", "Events whose time was over, in the worker's word.")
	workerCalls     = counter("worker_pdk_calls_total", "PDK calls that workers ran for the server, in their word.")
	workerSeconds   = counter("worker_event_seconds_total", "Time that workers waited for events that ended, by their clocks.")
)

// What the server has.
var (
	sessions      = gauge("sessions", "Workers that are attached, by carrier: ring or socket.", "carrier")
	sessionsBegun = counter("sessions_begun_total", "Workers that attached, by carrier.", "carrier")
	sessionsLost  = counter("sessions_failed_total",
		"Sessions that ended otherwise than by a hang-up: damage where the worker broke a rule, else error.", "kind")
	reattachments = counter("reattachments_total",
		"Sessions of a worker that was attached before: by the same process, or by a new one that took its place.", "process")
	refused = counter("connections_refused_total",
		"Connections that were refused: denied where the user may not attach, crowd where too many had not said hello, else other.", "kind")
	stock     = gauge("stock_connections", "Connections of a Kong without the bridge.")
	underWay  = gauge("events_under_way", "Events that run now.")
	instances = gauge("instances", "Plugins with a config, each once for all workers.")
	slots     = gauge("worker_slots", "Slots that a worker has in use, in its word; it has 4096.", "worker")
	ringUsed  = gauge("ring_used_bytes",
		"Payload bytes in a worker's ring that were not read yet: to_server or to_worker.", "worker", "ring")
	ringCapacity = gauge("ring_capacity_bytes", "Bytes that each of a worker's rings has room for.", "worker")
	stopping     = gauge("stopping", "1 while the server refuses new events since it stops.")
	build        = gauge("build_info", "1, with the versions of kongring and of Go.", "version", "goversion")
	pluginInfo   = gauge("plugin_info", "1 for each plugin, with its version.", "plugin", "version")
)
