/*
 * A ring of frames between one producer and one consumer who sleep and wake
 * each other, on processors that keep their stores back. doc.go says what is
 * modelled and what is not; the tags I2..I6 and P1..P4 are those of package
 * ring. model_test.go runs this file: once as it is, and once for each of the
 * macros below that break it on purpose.
 *
 * A word of the model is a unit of Alignment bytes. A frame of n words is its
 * commit word and n-1 words of payload.
 */
#ifndef CAP
#define CAP 8              /* words in the ring, a power of two */
#endif
#ifndef FRAMES
#define FRAMES 5           /* frames written, each of any allowed size */
#endif
#define DEPTH 4            /* stores that a processor can keep back */
#ifndef LONGEST
#define LONGEST (CAP / 4)  /* words in the longest frame (I6) */
#endif
#define QUARTER (CAP / 4)  /* the consumer publishes at each (I6) */

/* Positions run free and wrap at a multiple of the capacity. As in
   production they start just below the wrap, of position and buffer (I1). */
#define WRAP (2 * CAP)
#define START (WRAP - 2)
#define POS(p) ((p) & (WRAP - 1))
#define OFFSET(p) ((p) & (CAP - 1))

/* What a word holds: the number of the frame that it was written for (1 and
   up, not part of the real layout: only the assertions look at it) and what
   it is: the size of the frame that it commits, a pad, or payload. 0 is the
   cleared word, OLD the commit word of a frame of an earlier lap. */
#define PAD 6
#define PAYLOAD 7
#define WORD(number, kind) ((number) * 8 + (kind))
#define KIND(w) ((w) & 7)
#define NUMBER(w) ((w) >> 3)
#define OLD WORD(0, 1)

/* Shared memory: the data at 0 to CAP-1, then the control words. */
#define CONSUMED CAP
#define SLEEPING (CAP + 1)
#define STARVED (CAP + 2)
byte mem[CAP + 3];

/* Doorbells. A ring before the wait is not lost; several count as one. They
   are calls into the kernel and pass no store buffer, nor do they drain one:
   the ring does not rely on a fence hidden in them. */
bit consumer_bell, producer_bell;

/* Death of one side, at any of its steps. The other one's notice is the kernel's
   hang-up of their connection, which comes once all that the dead side stored
   is in memory. */
bit dead_producer, dead_consumer;
#define PRODUCER_HUNG_UP (dead_producer && pheld == 0)
#define CONSUMER_HUNG_UP (dead_consumer && empty(cbuf))
#ifdef NO_HANG_UP_CONSUMER
#define CONSUMER_RUNG consumer_bell
#else
#define CONSUMER_RUNG (consumer_bell || PRODUCER_HUNG_UP)
#endif
#ifdef NO_HANG_UP_PRODUCER
#define PRODUCER_RUNG producer_bell
#else
#define PRODUCER_RUNG (producer_bell || CONSUMER_HUNG_UP)
#endif

/* What the assertions look at, known to neither side. */
byte waiting;        /* the frame that the producer waits to write, or 0 ... */
byte waits_at;       /* ... with its position here ... */
byte waits_for;      /* ... until so many words are free */
byte taken;          /* frames that the consumer took */
hidden byte wrong_frame, torn_payload, missed_wake, held_back, corrupt;

/*
 * The processors. A store goes to the end of the own buffer and from there to
 * memory at any later time; a load takes what is in memory, for neither side
 * ever loads a word that it stores itself. (An exchange does, and first waits
 * until its buffer is empty.)
 *
 * x86 drains its buffer in order. ARM drains any store, except that two stores
 * to one word keep their order, and that a release store waits for all stores
 * before it. The consumer's stores are all release stores, so its buffer
 * drains in order on either machine.
 */
typedef Store { byte addr; byte val; bit release };
Store pbuf[DEPTH];                     /* the producer's buffer, oldest first */
byte pheld;                            /* the stores in it */
chan cbuf = [DEPTH] of { byte, byte }; /* the consumer's: address, value */
hidden byte h, k;

inline p_store(a, v, rel) {
	d_step {
		pheld < DEPTH ->
		pbuf[pheld].addr = a; pbuf[pheld].val = v; pbuf[pheld].release = rel;
		pheld++
	}
}
inline c_store(a, v) { cbuf!a,v }

inline p_fence() { pheld == 0 }
inline c_fence() { empty(cbuf) }

inline p_drain(n) {
	mem[pbuf[n].addr] = pbuf[n].val;
	h = n + 1;
	do
	:: h < pheld ->
		pbuf[h-1].addr = pbuf[h].addr; pbuf[h-1].val = pbuf[h].val;
		pbuf[h-1].release = pbuf[h].release; h++
	:: else -> break
	od;
	pheld--;
	pbuf[pheld].addr = 0; pbuf[pheld].val = 0; pbuf[pheld].release = 0
}

/* The n-th store overtakes the m-th. */
#define OVERTAKES(n, m) (pheld > n && !pbuf[n].release && pbuf[n].addr != pbuf[m].addr)

proctype processors() {
end:	do
	:: d_step { pheld > 0 -> p_drain(0) }
	:: d_step { cbuf?h,k -> mem[h] = k }
#ifdef ARM
	:: d_step { OVERTAKES(1, 0) -> p_drain(1) }
	:: d_step { OVERTAKES(2, 0) && OVERTAKES(2, 1) -> p_drain(2) }
	:: d_step { OVERTAKES(3, 0) && OVERTAKES(3, 1) && OVERTAKES(3, 2) -> p_drain(3) }
#endif
	od
}

/* ---- producer ------------------------------------------------------- */

#ifdef PLAIN_COMMIT
#define RELEASE 0
#else
#define RELEASE 1
#endif

/* Where the frame goes: at its position, or behind a pad (I3). */
inline place() {
	atomic {
		if
		:: size > CAP - OFFSET(pos) -> at = 0; pad = CAP - OFFSET(pos)
		:: else -> at = OFFSET(pos); pad = 0
		fi;
#ifdef NO_SPARE
		need = pad + size
#else
		need = pad + size + 1  /* and the next word, I4 */
#endif
	}
}

/* Producer.reserve. Consumed is loaded only when the private copy says that
   there is no room. */
inline reserve() {
	if
	:: CAP - POS(pos - consumed) >= need -> room = true
	:: else ->
		d_step {  /* sync P2: the load of Consumed */
			corrupt = POS(pos - mem[CONSUMED]) > POS(pos - consumed);
			assert(!corrupt);
			consumed = mem[CONSUMED];
			room = CAP - POS(pos - consumed) >= need
		}
	fi
}

proctype producer() {
	byte number = 1;        /* of the frame to write */
	byte size;              /* in words */
	byte pos = START;       /* Producer.pos */
	byte consumed = START;  /* Producer.consumed */
	byte at, pad, need, i;
	bool room;
	bool owes;              /* frames were written since the last ClaimWake */

#ifdef DEATH
	{ skip;
#endif
next:
	if  /* the caller's choice */
	:: size = 1
	:: size = 2
#if LONGEST == 4
	:: size = 4  /* 3 would show nothing more, and costs states */
#endif
	fi;

write:  /* Producer.Write */
	place();
	reserve();
	if
	:: !room -> goto no_room
	:: else
	fi;
#ifndef NO_CLEAR
	p_store(OFFSET(at + size), 0, 0);  /* I4, clearWord */
#endif
#ifdef COMMIT_FIRST
	p_store(at, WORD(number, size), RELEASE);
#endif
#ifdef PAD_FIRST
	if
	:: pad > 0 -> p_store(OFFSET(pos), WORD(number, PAD), RELEASE)
	:: else
	fi;
#endif
	i = 1;
	do
	:: i < size -> p_store(at + i, WORD(number, PAYLOAD), 0); i++
	:: else -> break
	od;
#ifndef COMMIT_FIRST
	p_store(at, WORD(number, size), RELEASE);  /* sync P1 */
#endif
#ifndef PAD_FIRST
	if  /* I5: the pad publishes itself and the frame behind it */
	:: pad > 0 -> p_store(OFFSET(pos), WORD(number, PAD), RELEASE)  /* sync P1 */
	:: else
	fi;
#endif
	d_step {
		pos = POS(pos + pad + size); number++; owes = true;
		i = 0; at = 0; pad = 0; need = 0; size = 0; room = false
	}
	if  /* one ClaimWake may do for several frames */
	:: number <= FRAMES -> goto next
	:: true -> goto claim
	fi;

no_room:
	if
	:: owes -> goto claim
	:: else
	fi;
	/* Producer.Wait */
	p_store(STARVED, 1, 1);  /* sync P4 */
#ifndef NO_FENCE_PRODUCER_WAIT
	p_fence();
#endif
	reserve();
	if
	:: room ->
		p_store(STARVED, 0, 1)
	:: else ->
		d_step { waiting = number; waits_at = pos; waits_for = need }
		d_step {
			PRODUCER_RUNG ->
			producer_bell = 0;
			waiting = 0; waits_at = 0; waits_for = 0
		}
#ifdef DEATH
		if
		:: CONSUMER_HUNG_UP -> goto over
		:: !dead_consumer || nempty(cbuf)
		fi
#endif
	fi;
	goto write;

claim:  /* Producer.ClaimWake */
#ifndef NO_FENCE_PRODUCER_CLAIM
	p_fence();  /* sync P3 */
#endif
	owes = mem[SLEEPING];
	if
	:: owes ->
		d_step {  /* the exchange */
			pheld == 0 ->
			owes = mem[SLEEPING]; mem[SLEEPING] = 0
		}
		if
		:: owes -> d_step { consumer_bell = 1; owes = false }
		:: else
		fi
	:: else
	fi;
	if
	:: number > FRAMES
	:: else ->
		if
		:: size > 0 -> goto no_room  /* there was no room for this frame */
		:: else -> goto next
		fi
	fi;
#ifdef DEATH
over:	skip
	} unless { dead_producer }
#endif
}

/* ---- consumer ------------------------------------------------------- */

/* Consumer.publish. The fence that P4 asks for is in ClaimWake here. */
inline publish() {
	c_store(CONSUMED, pos);  /* sync P2, P4 */
	published = pos
}

/* Consumer.ClaimWake */
inline claim_wake() {
#ifndef NO_FENCE_CONSUMER_CLAIM
	c_fence();  /* sync P4 */
#endif
	starved = mem[STARVED];
	if
	:: starved ->
		d_step {  /* the exchange */
			empty(cbuf) ->
			starved = mem[STARVED]; mem[STARVED] = 0
		}
		if
		:: starved -> d_step { producer_bell = 1; starved = false }
		:: else
		fi
	:: else
	fi
}

#define AT_REST (waiting && !producer_bell && pheld == 0 && empty(cbuf))

proctype consumer() {
	byte pos = START;        /* Consumer.pos */
	byte published = START;  /* Consumer.published */
	byte w, offset, pad, i;
	bool starved;
#ifdef DEATH
	bool hung_up;
#endif
#ifdef PLAIN_LOAD
	byte early;
#endif

#ifdef DEATH
	{ skip;
#endif
read:  /* Consumer.Read */
#ifdef PLAIN_LOAD
	early = mem[OFFSET(pos + 1)];
#endif
	atomic {
		/* Between two calls the caller may turn to something else for as long
		   as it likes. If all else has come to rest by then, the producer must
		   not wait for words that it was given back, nor wait at all when the
		   consumer took all its frames (I6). */
		missed_wake = AT_REST && CAP - POS(waits_at - mem[CONSUMED]) >= waits_for;
		assert(!missed_wake);
		held_back = AT_REST && taken + 1 == waiting;
		assert(!held_back);

		offset = OFFSET(pos);
		w = mem[offset];  /* sync P1 */
		wrong_frame = w != 0 && NUMBER(w) != taken + 1;
		assert(!wrong_frame)
	}
	if
	:: w == 0 && taken == FRAMES -> goto done
#ifdef DEATH
	:: w == 0 && taken < FRAMES && hung_up -> goto done
	:: w == 0 && taken < FRAMES && !hung_up -> goto sleep
#else
	:: w == 0 && taken < FRAMES -> goto sleep
#endif
	:: else
	fi;
	if
	:: KIND(w) == PAD ->
		d_step {
			pad = CAP - offset;
			offset = 0;
			w = mem[0]  /* sync P1 */
		}
	:: else
	fi;
	/* w == 0, nothing behind a pad, is wrong too (I5). */
	d_step {
		wrong_frame = NUMBER(w) != taken + 1 || KIND(w) == 0 ||
			KIND(w) > LONGEST || pad >= KIND(w) || offset + KIND(w) > CAP;
		assert(!wrong_frame)
	}
#ifdef PUBLISH_FIRST
	if
	:: POS(pos + pad + KIND(w) - published) >= QUARTER ->
		c_store(CONSUMED, POS(pos + pad + KIND(w)));
		published = POS(pos + pad + KIND(w))
	:: else
	fi;
#endif
	i = 1;
	do
	:: i < KIND(w) ->
		d_step {
			torn_payload = mem[offset + i] != WORD(taken + 1, PAYLOAD);
#ifdef PLAIN_LOAD
			torn_payload = (pad == 0 && i == 1 -> early : mem[offset + i]) !=
				WORD(taken + 1, PAYLOAD);
#endif
			assert(!torn_payload);
			i++
		}
	:: else -> break
	od;
	atomic {
		pos = POS(pos + pad + KIND(w)); taken++;
		w = 0; pad = 0; offset = 0; i = 0
	}
#ifndef NO_QUARTER_PUBLISH
	if
	:: POS(pos - published) >= QUARTER && published != pos -> publish()
	:: else
	fi;
#endif
	claim_wake();
	goto read;

sleep:  /* Consumer.Sleep */
#ifndef NO_SLEEP_PUBLISH
	if
	:: published != pos -> publish()
	:: else
	fi;
#endif
	c_store(SLEEPING, 1);  /* sync P3 */
#ifndef NO_FENCE_CONSUMER_SLEEP
	c_fence();
#endif
	d_step { offset = 0; w = mem[OFFSET(pos)] }  /* Consumer.Ready, P1 */
	if
	:: w != 0 -> w = 0; c_store(SLEEPING, 0); claim_wake()
	:: else ->
		claim_wake();
#ifdef DEATH
		d_step { CONSUMER_RUNG -> consumer_bell = 0; hung_up = PRODUCER_HUNG_UP }
#else
		d_step { consumer_bell -> consumer_bell = 0 }
#endif
		c_store(SLEEPING, 0)  /* Consumer.Awake */
	fi;
	goto read;

done:	skip
#ifdef DEATH
	} unless { dead_consumer }
#endif
}

#ifdef DEATH
proctype killer() {
	if
	:: d_step { dead_producer = 1; waiting = 0; waits_at = 0; waits_for = 0 }
	:: dead_consumer = 1
	fi
}
#endif

init {
	/* Format clears the data. The model starts later in a ring's life: every
	   word holds old bytes but the one where the first frame will start. */
	atomic {
		h = 0;
		do
		:: h < CAP -> mem[h] = OLD; h++
		:: else -> break
		od;
		mem[OFFSET(START)] = 0;
		mem[CONSUMED] = START;
		run processors(); run producer(); run consumer();
#ifdef DEATH
		run killer()
#endif
	}
}

#ifdef LIVENESS
ltl every_frame_is_read { <> (taken == FRAMES) }
#endif
