package metrics

// Failure is a way in which an event ends badly.
type Failure uint8

// The failures.
const (
	Panic      Failure = iota // the handler panicked
	Busy                      // refused: too many events were under way
	NoInstance                // refused: the server does not know the instance, and the worker starts it anew
	NoPhase                   // refused: the plugin has no handler for the phase
	Shutdown                  // refused: the server stops
	Deadline                  // the event's time was over
	ClientGone                // nobody waits for the answer any more
	LuaError                  // a PDK method raised
	GivenUp                   // the worker gave it up, for another reason or without one
	Lost                      // the session ended first
	Failures
)

var failureNames = [Failures]string{
	"panic", "busy", "no_instance", "no_phase", "shutdown", "deadline", "client_gone", "lua_error", "given_up", "lost",
}

// String gives the name that the failure has in the metrics.
func (f Failure) String() string { return failureNames[f] }

// Answer is how a PDK call was answered.
type Answer uint8

// The answers.
const (
	Prefetched Answer = iota // from what came with the event
	Memo                     // from what an earlier call got
	Posted                   // it gives nothing, and went with another message
	RoundTrip                // it was asked, and the handler waited
	Answers
)

var answerNames = [Answers]string{"prefetched", "memo", "posted", "round_trip"}

// String gives the name that the answer has in the metrics.
func (a Answer) String() string { return answerNames[a] }

// Cell counts the events of a plugin in a phase. Who uses it orders that by a
// lock.
type Cell struct {
	Events  uint64           // that ended, however; those that were refused are in Failed alone
	Calls   [Answers]uint64  // PDK calls of these, by how they were answered
	Wasted  uint64           // values that came along with these and that nobody asked for
	Failed  [Failures]uint64 // events that ended badly or were refused: one can be in two of them
	Latency Latency          `json:",omitzero"` // of those that were timed
}

// Add adds another cell's counts.
func (c *Cell) Add(more *Cell) {
	c.Events += more.Events
	c.Wasted += more.Wasted
	addTo(c.Calls[:], more.Calls[:])
	addTo(c.Failed[:], more.Failed[:])
	c.Latency.Nanos += more.Latency.Nanos
	addTo(c.Latency.Counts[:], more.Latency.Counts[:])
}

func addTo(to, more []uint64) {
	for i := range to {
		to[i] += more[i]
	}
}

// Row is a cell with whose it is.
type Row struct {
	Plugin string
	Phase  string // as Kong names it
	Cell
}

// Table adds rows up, by plugin and phase. The zero value is empty.
type Table struct{ cells map[[2]string]*Cell }

// Add adds rows.
func (t *Table) Add(rows []Row) {
	if t.cells == nil {
		t.cells = map[[2]string]*Cell{}
	}
	for i := range rows {
		key := [2]string{rows[i].Plugin, rows[i].Phase}
		if t.cells[key] == nil {
			t.cells[key] = new(Cell)
		}
		t.cells[key].Add(&rows[i].Cell)
	}
}

// Cell gives the sum of a plugin in a phase.
func (t *Table) Cell(plugin, phase string) Cell {
	if c := t.cells[[2]string{plugin, phase}]; c != nil {
		return *c
	}
	return Cell{}
}

// Clone gives a copy that is added to by itself.
func (t *Table) Clone() (out Table) {
	out.cells = make(map[[2]string]*Cell, len(t.cells))
	for key, c := range t.cells {
		same := *c
		out.cells[key] = &same
	}
	return out
}
