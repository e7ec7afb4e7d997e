// Package top shows what plugin servers and the workers that are attached to
// them do: a table that lives in the terminal, or one sample of it.
//
// The terminal is driven by some dozen bytes of ANSI and by golang.org/x/term:
// one table that is drawn anew each second, and two keys, are less than what a
// library for terminal interfaces asks for to begin with.
package top
