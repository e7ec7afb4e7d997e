// Package ring is a lock-free ring of frames between one producer and one
// consumer, over any []byte: a slice on the heap or memory that two processes
// share. It makes no system call, starts no goroutine and reads no clock; who
// waits, and how a sleeping side is woken, is the caller's business.
//
//	mem:  | Control (384 bytes) | data (capacity bytes, a power of two) |
//
//	data: |   old   | frame | frame | frame |0|      free      | pad  |
//	                ^ Consumed and beyond    ^ the producer's position
//
// layout.go draws the control words and a frame. The same layout is spoken in
// Lua (luabridge/kongring/ring.lua) with the loads and stores of a C helper.
//
// # Invariants
//
//	I1  Positions are free-running uint32 numbers, multiples of Alignment; a
//	    position modulo the capacity is an offset. They start just below the
//	    wrap (Start).
//	I2  0 <= produced - consumed <= capacity. The producer owns the bytes
//	    between produced and consumed + capacity, the consumer owns the rest:
//	    publishing passes ownership, in both directions.
//	I3  Frames are contiguous. Where one does not fit before the end of the
//	    buffer, a pad frame takes the rest and the frame stands at offset 0.
//	I4  Before a frame is published, the word behind it, where the next frame
//	    will start, is 0. The consumer polls only that word, so bytes of an
//	    earlier lap are never taken for a frame. A write therefore needs room
//	    for its frame and one word more. Only a commit stores to that word then.
//	I5  A frame behind a pad is published with it: its word is stored before
//	    the pad's. One Read passes at most one pad.
//	I6  A frame takes at most a quarter of the ring, the consumer keeps at
//	    most a quarter back before it publishes Consumed, and a pad is shorter
//	    than the frame that needed it: so a producer whose frames were all
//	    read always has room, whatever it sends next.
//	I7  No shared word other than Sleeping and Starved has two writers. A
//	    process that dies at any instruction leaves no lock, and at most one
//	    unpublished frame, which nobody sees.
//	I8  Whatever the other side writes into the memory, a handle reads and
//	    writes inside its slice only, copies at most MaxPayload bytes a call,
//	    and ends each call after a bounded number of steps.
//
// # Ordered pairs
//
// Each store and load that another process relies on carries the tag of its
// pair, here, in Lua and in the model (model/ring.pml); a test compares. P1 hands
// bytes over (message passing), P2 gives them back (no load may come after the
// store that allows to overwrite), P3 and P4 are store buffering.
//
//	tag  the one side                         the other side
//	P1   Producer.Write stores the commit     Consumer.Read loads it (acquire),
//	     word (release) after the payload     then reads the payload
//	P2   Consumer.publish stores Consumed     Producer.reserve loads it
//	     (release) after its copies           (acquire), then overwrites
//	P3   Consumer.Sleep stores Sleeping,      Producer.ClaimWake: after the
//	     full fence, looks at the ring        commit, full fence, takes Sleeping
//	P4   Producer.Wait stores Starved,        Consumer.ClaimWake: after Consumed,
//	     full fence, looks at Consumed        full fence, takes Starved
//
// Go's atomics are sequentially consistent, which gives release, acquire and
// the full fences of P3 and P4. Stores and loads are XCHG and MOV on amd64; on
// arm64 STLR and LDAR, of which no load passes an earlier store, and the fence of
// the C helper, which Lua calls, is DMB ISH. The race detector knows atomics as
// well, and a ring on the heap is visible to it; mapped memory is not.
//
// # When a side dies
//
// The ring itself notices nothing: a dead consumer looks like a slow one. What
// was published stays readable. See package shm for how death is noticed.
package ring
