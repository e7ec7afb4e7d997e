// Package model holds two models for the model checker SPIN, and a test that
// runs them. There is nothing to import. ring.pml is one producer, one consumer,
// two doorbells and two processors with store buffers: package ring. session.pml
// is a worker, a server, and who comes after them when they die: what package
// server and the Lua bridge make of rings. SPIN visits every state that they can
// reach in any order of their steps.
//
// # What is modelled
//
//	ring.pml                          package ring
//	p_store of 0, OFFSET(at + size)   Producer.Write, clearWord      I4
//	p_store of WORD(number, size)     Producer.Write, commit         P1
//	p_store of WORD(number, PAD)      Producer.Write, pad            P1, I3, I5
//	reserve                           Producer.reserve               P2
//	no_room                           Producer.Wait                  P4
//	claim                             Producer.ClaimWake             P3
//	read                              Consumer.Read                  P1, I5
//	publish                           Consumer.publish               P2, I6
//	sleep                             Consumer.Sleep, Ready, Awake   P3
//	claim_wake                        Consumer.ClaimWake             P4
//
// The producer writes a handful of frames, each of any size, and calls
// ClaimWake after any number of them, but before it waits and at the end. The
// consumer reads until the ring is empty, then sleeps. It calls ClaimWake
// after each Read and after each Sleep, whatever that gave.
//
// Either processor keeps stores in a buffer, out of the other's sight, for as
// long as it likes, and loads without waiting for them; a fence and an
// exchange wait until the buffer is empty. On x86 the buffer drains in order,
// on ARM (the macro) a store may overtake others unless it is a release store.
// A full fence stands where P3 and P4 ask for one. The Go code has it in the
// atomic store before that place, since those are sequentially consistent.
//
// # What is checked
//
//   - Every frame is taken once, whole, in order (wrong_frame, torn_payload).
//     Frames and payload carry the number of their frame for this.
//   - No state is final while a frame is unread or a side still waits: no
//     wake-up is lost (SPIN's "invalid end state"). Every run reaches the last
//     frame, even an unfair one (the LTL property every_frame_is_read).
//   - The producer does not wait for room that it was given while the consumer
//     is busy elsewhere (missed_wake). Without the fence of P4 in
//     Consumer.ClaimWake it would, but only until the consumer calls again: a
//     consumer that goes on reads the ring empty, and the fence of its Sleep
//     makes up for it. So no deadlock tells of that fence; this does.
//   - The producer does not wait at all when all its frames were taken
//     (held_back, I6).
//   - The consumed position moves forward, up to the producer's (corrupt).
//
// That the properties can fail is checked too: each macro takes one rule away,
// and the test wants the error that the rule prevents. ARM can do all that x86
// can, so what fails on x86 fails on ARM, and what holds on ARM holds on x86.
// With DEATH, one side stops at any of its steps, and the other hears of it by
// the hang-up of their connection, which the kernel makes once all stores of the
// dead side are in memory: no half frame is ever read (I7), and nobody sleeps
// for ever.
//
// Two macros break nothing: a plain commit store on x86, where stores stay in
// order, and Sleep without its publish, which I6 makes unnecessary.
//
// # Sessions
//
// In session.pml a worker runs one event after the other, each with a number of
// its own, gives one up when its time is over, and attaches anew after a
// hang-up; the server runs a handler that may take any time. Worker and server
// each die once at most, at any step, and have a successor. Checked is that
//
//   - each event ends once in its worker, unless that died (not_one_end), and
//     is answered by its own handler or not at all (wrong_answer);
//   - in the end no handler runs and no session is open in the server for a
//     worker that has gone (left_over);
//   - nobody waits for ever: that would leave an event without an end.
//
// The macros take away the generation of slots, the memory of each session's
// own, and what either side does at a hang-up.
//
// # What is not modelled
//
//   - Numbers other than the test's: a few frames in a ring of 8 or 16 words.
//     The ring starts full of old bytes and just below the wrap, so the first
//     frames meet both already.
//   - Loads out of order. An acquire load forbids them; the one place where it
//     matters for the payload is the macro PLAIN_LOAD.
//   - Bytes: a payload word is one store. Read's checks of what a hostile
//     producer wrote, reserve's of a hostile consumer (I8), the flag More.
//   - Spin, since to look again is to look later; a time limit on a sleep, or
//     another reason to wake up: each only adds wake-ups.
//   - The pump of the socket carrier, and the hand-over between two servers
//     that both live.
//   - The Lua side, which follows the same tags, and what the Go compiler
//     makes of the code: the model is of the rules, written by hand.
package model
