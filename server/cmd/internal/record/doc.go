// Package record has the record of a trace: what a session said about events, as
// lines of JSON that people can read, attach to a report, and replay.
//
// A [Gatherer] makes the lines of frames, without what is nobody's business; [Read]
// gives the events of a file. FORMAT.md describes the file.
package record
