// Package trace is the command kongring trace: it records what a worker and a
// plugin server say to each other, shows a record as a timeline, and replays it
// against a plugin's binary.
package trace
