// Package luabridge is the Lua half of kongring: the modules kongring.* that
// Kong's workers load (folder kongring), and the C helper through which they
// order their loads and stores (folder helper).
//
// A Go package lives here for what Lua cannot do for itself: to generate the
// layout of the shared memory from the Go structs, so that each number has one
// home, to compile the helper where a test or a benchmark needs it, and to run
// the Lua specs (folder spec) with the Go tests.
package luabridge

//go:generate go run ./layoutgen
