// Package install puts the bridge and the modules of plugins where Kong finds
// them, and takes away again what it put there.
//
// The bridge's Lua modules are in the command itself. Its C helper is not: a
// library for each processor would be a binary in the source, which nobody can
// read, while the helper is one file of C without a library that any compiler
// makes in an instant. So it is compiled here, from source that is in the command,
// and where there is no compiler one made elsewhere can be given.
//
// Each of the two places, the bridge's folder and the plugins', has a record of
// the files in it with their sums. By it a later install knows what it may
// replace, and uninstall what it may remove: never a file that someone else wrote
// or changed.
package install
