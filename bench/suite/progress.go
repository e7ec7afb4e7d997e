package suite

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// Progress says how far a run is: on a terminal in one line, which is drawn anew;
// elsewhere in a line now and then. One goroutine uses it.
type Progress struct {
	to       io.Writer
	terminal bool

	done, all float64 // of the run, in seconds as they were estimated
	said      int     // percent, of the last line
	part      string  // of the run that the last line was about
}

// NewProgress gives one that writes to w.
func NewProgress(w io.Writer) *Progress {
	p := &Progress{to: w}
	_, p.terminal = p.width()
	return p
}

// width is that of the terminal, if there is one.
func (p *Progress) width() (columns int, ok bool) {
	file, isFile := p.to.(*os.File)
	if !isFile {
		return 0, false
	}
	size, err := unix.IoctlGetWinsize(int(file.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0, false
	}
	return int(size.Col), true
}

// begin says how long the run will take.
func (p *Progress) begin(seconds float64) { p.done, p.all, p.said, p.part = 0, seconds, -100, "" }

// note writes lines that stay.
func (p *Progress) note(format string, args ...interface{}) {
	if p.terminal {
		fmt.Fprint(p.to, "\r\033[K")
	}
	fmt.Fprintf(p.to, format, args...)
}

// Lines now and then: when as many percent more are done, or another part begins.
const nowAndThen = 10

// step says what begins now, and how long it will take.
func (p *Progress) step(seconds float64, format string, args ...interface{}) {
	percent, what := 0, fmt.Sprintf(format, args...)
	if p.all > 0 {
		percent = int(100 * p.done / p.all)
	}
	p.done += seconds
	line := fmt.Sprintf("%3d %%  %s", percent, what)
	if p.terminal {
		// In the last column a line may wrap, and be two the next time.
		if columns, _ := p.width(); columns > 1 && utf8.RuneCountInString(line) >= columns {
			line = string([]rune(line)[:columns-1])
		}
		fmt.Fprint(p.to, "\r\033[K"+line)
		return
	}
	part, _, _ := strings.Cut(what, ":")
	if part != p.part || percent >= p.said+nowAndThen {
		p.part, p.said = part, percent
		fmt.Fprintln(p.to, line)
	}
}

// end leaves the terminal's line empty.
func (p *Progress) end() {
	if p.terminal {
		fmt.Fprint(p.to, "\r\033[K")
	}
}

// step says what the run does now.
func (r *run) step(seconds float64, format string, args ...interface{}) {
	r.progress.step(seconds, format, args...)
}

// What a step costs, in seconds, as far as the plan tells: nginx and a plugin
// server start and stop in half of one.
const (
	standCost = 0.5
	limitCost = 1.0
)

func (p Plan) requestCost() float64 { return standCost + p.warmUp.Seconds() + p.Seconds }

func (p Plan) eventCost() float64 {
	return standCost + p.eventSeconds*float64(len(kinds)*len(p.eventCalls))
}

func (p Plan) bodyCost() float64 { return standCost + p.eventSeconds*float64(len(p.bodies)) }

func (p Plan) allocCost() float64 {
	return standCost + 2*p.eventSeconds*float64(len(allocCells))
}

func (p Plan) idleCost() float64 { return standCost + (p.idleFor + 2*quietFor).Seconds() }

// ringCost is that of the command bench/ring, by its steps of about a microsecond.
func (p Plan) ringCost() float64 {
	sizes := strings.Count(p.ringSizes, ",") + 1
	steps := time.Duration(p.ringRounds*sizes*p.ringSteps) * 10 * time.Microsecond
	return 2 + steps.Seconds()
}

// cost is that of all steps.
func (p Plan) cost() (seconds float64) {
	rounds, events, requests := float64(p.Rounds), 0.0, 0.0
	for _, m := range p.modes() {
		if m.event {
			events++
		}
		if m.http {
			requests++
		}
	}
	if cores, err := twoCores(); err == nil && cores != nil {
		seconds += rounds * limitCost
		if p.ringRounds > 0 {
			seconds += p.ringCost()
		}
	}
	seconds += rounds * (events*p.eventCost() + requests*(p.bodyCost()+float64(len(p.calls)*len(p.conns))*p.requestCost()))
	if len(p.workers) > 0 {
		seconds += float64(len(p.workers)+len(p.slowConns))*p.requestCost() + p.idleCost()
	}
	return seconds + p.allocCost() + p.idleCost()
}
