// Package wire holds what the plugin server and its Lua bridge have to agree
// on above the ring: the head of a message, its types and statuses, the
// counters, and the table of PDK methods. It is the one home of these facts;
// the Lua side is generated from it (make generate).
//
// PROTOCOL.md is for whoever writes either side anew, EXAMPLE.md shows an event
// byte by byte, and testdata/golden has its frames.
package wire

//go:generate go tool msgp -file messages.go -o messages_gen.go -tests=false -io=false
