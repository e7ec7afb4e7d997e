package top

import (
	"fmt"
	"strconv"
	"unicode/utf8"
)

// The table is 80 characters wide.
const (
	columns = "%-11s %3s %7s %-4s %7s %5s %5s %5s %6s %6s %6s %4s"
)

var heads = fmt.Sprintf(columns, "SERVER", "WRK", "PID", "OVER", "EVENT/S", "CALLS", "PREF%", "SPIN%", "BELL/S", "SLP/S", "ERRORS", "OPEN")

// line is the row in the table.
func (r row) line() string {
	over := r.Carrier
	if over == "socket" {
		over = "sock"
	}
	return fmt.Sprintf(columns, cut(r.Server, 11), short(float64(r.Worker)), strconv.Itoa(r.PID), cut(over, 4),
		perhaps(r.Events, short), perhaps(r.Calls, decimal), perhaps(r.Prefetch, percent), perhaps(r.Spins, percent),
		perhaps(r.Doorbells, short), perhaps(r.Sleeps, short), short(r.Errors), short(r.Open))
}

// perhaps writes a number that may be unknown.
func perhaps(n *float64, write func(float64) string) string {
	if n == nil {
		return "-"
	}
	return write(*n)
}

func decimal(n float64) string {
	if n >= 100 {
		return short(n)
	}
	return strconv.FormatFloat(n, 'f', 1, 64)
}

func percent(n float64) string { return strconv.FormatFloat(100*n, 'f', 0, 64) }

// short writes a number in at most 4 characters as far as that goes: 9999, 12k,
// 3M.
func short(n float64) string {
	for _, unit := range []string{"", "k", "M", "G", "T"} {
		if n < 9999.5 && unit == "" || n < 999.5 {
			return strconv.FormatFloat(n, 'f', 0, 64) + unit
		}
		n /= 1000
	}
	return "lots"
}

// cut shortens a text to a width, in characters.
func cut(text string, width int) string {
	if utf8.RuneCountInString(text) <= width {
		return text
	}
	return string([]rune(text)[:max(width, 0)])
}
