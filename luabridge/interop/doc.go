// Package interop holds no code, only the proof that two processes speak the
// same ring: two Go processes, and LuaJIT with Go, over a real segment and real
// doorbells.
//
// The stream tests send millions of frames, compare every byte and force both
// sides to sleep all the time; the litmus tests let both sides run into the
// races of the ordered pairs P3 and P4 (package ring) a million times and count
// the wake-ups that would have been missed.
package interop
