// Package benchmark measures kongring on the machine it runs on, without its
// source: the benchmark of the folder bench, with the command itself as plugin
// server, and the Lua modules that are in it. What it takes of the machine are
// nginx with its Lua module, wrk and a C compiler.
package benchmark
