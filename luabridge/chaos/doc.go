// Package chaos keeps a whole kongring under full load, two plugin servers and
// some workers of nginx, while processes are killed, stopped and replaced,
// memory and descriptors are refused and clients go away; and checks from
// outside that nothing of it shows but what a table allows.
//
// Each request carries a nonce: in a header, in the query and in its body. The
// plugins compare what they read, in each phase, and put it into the answer; the
// client compares the answer. A request gets one answer of the kind that what it
// asked for has; another kind only while a fault lasts that allows it: see the
// table in faults.go. After each round the load rests, and both sides' counters,
// descriptors, mappings, goroutines and processes have to be what they were at
// the start: see rest.go. luabridge/RELIABILITY.md lists the rules, and the guards
// that were taken out to see each of them broken.
package chaos
