package doctor

import (
	"encoding/json"
	"fmt"
	"io"
)

// Level says how bad a finding is.
type Level string

// The levels. Of a warning and an error the status of the command tells.
const (
	OK      Level = "ok"
	Note    Level = "note"    // worth to know; nothing needs to be done
	Warning Level = "warning" // it works, with less speed or safety
	Error   Level = "error"   // it does not work
)

// Finding is what one check found.
type Finding struct {
	Level Level  `json:"level"`
	Check string `json:"check"`
	Found string `json:"found"`
	Fix   string `json:"fix,omitempty"` // what to do, unless the level is OK
}

// report collects what the checks find.
type report struct{ findings []Finding }

func (r *report) add(level Level, check, fix, found string, args ...any) {
	r.findings = append(r.findings, Finding{level, check, fmt.Sprintf(found, args...), fix})
}

func (r *report) ok(check, found string, args ...any) { r.add(OK, check, "", found, args...) }

// fine tells whether nothing needs to be done.
func (r *report) fine() bool {
	for _, f := range r.findings {
		if f.Level == Warning || f.Level == Error {
			return false
		}
	}
	return true
}

// print writes a line for each finding, and below it what to do.
func (r *report) print(out io.Writer) error {
	for _, f := range r.findings {
		text := fmt.Sprintf("%-8s %-10s %s\n", f.Level, f.Check, f.Found)
		if f.Fix != "" {
			text += fmt.Sprintf("%8s %10s fix: %s\n", "", "", f.Fix)
		}
		if _, err := io.WriteString(out, text); err != nil {
			return err
		}
	}
	return nil
}

func (r *report) printJSON(out io.Writer) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(r.findings)
}
