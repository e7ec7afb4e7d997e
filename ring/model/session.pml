/*
 * The life of sessions: a worker that has one event after the other, a plugin
 * server, death of either at any step, and their successors, who attach anew.
 * doc.go says what is modelled; model_test.go runs this file as it is, and once
 * for each of the macros below that take a rule away.
 *
 * What ring.pml shows is taken for granted here: a frame comes whole or not at
 * all, in order, and nobody misses a wake-up.
 */
#ifndef SESSIONS
#define SESSIONS 3   /* attachments in all */
#endif
#ifndef ROOM
#define ROOM 1       /* frames in a ring */
#endif
#ifndef EVENTS
#define EVENTS 2     /* that the workers run in all; the number is the nonce */
#endif

/* A session's memory: a ring each way, of generation and nonce. */
chan to_server[SESSIONS] = [ROOM] of { byte, byte };
chan to_worker[SESSIONS] = [ROOM] of { byte, byte };

/* The control connection: each side's end, which the kernel closes when its
   process dies. */
bit worker_end[SESSIONS], server_end[SESSIONS];

byte begun;            /* sessions so far */
byte asked;            /* events so far */
byte ended[EVENTS];    /* how often each came to an end in the worker */
bit orphan[EVENTS];    /* its worker died, and with it its client */
byte running[SESSIONS];/* handlers of a session in the server */
bit freed[SESSIONS];   /* the server gave the session back */
bit listening;
byte worker_life, server_life;
hidden byte wrong_answer, not_one_end, left_over;

#ifdef SAME_MEMORY     /* the memory of the first session serves all */
#define MEMORY(k) 0
#else
#define MEMORY(k) k
#endif

/* ---- worker --------------------------------------------------------- */

proctype worker(byte life) {
	byte k;          /* the session; SESSIONS when there is none */
	byte generation; /* of the one slot */
	byte event, g, n;

	{ skip;
attach:
	k = SESSIONS;
	if
	:: atomic {
		listening && begun < SESSIONS ->
		k = begun; begun++;
		worker_end[k] = 1; server_end[k] = 1;
		run session(k, server_life)
	   }
	:: begun == SESSIONS -> goto over
	fi;
	generation = 0; /* slots belong to the session */

next:
	if
	:: atomic { asked < EVENTS -> event = asked; asked++ }
	:: asked == EVENTS -> goto over
	fi;
	generation++;
	if
	:: to_server[MEMORY(k)]!generation,event
#ifndef DEAF_WORKER
	:: !server_end[k] -> goto hung_up
#endif
#ifndef NO_DEADLINE
	:: goto late  /* no room until the deadline */
#endif
	fi;

await:
	if
	:: atomic {
		to_worker[MEMORY(k)]?g,n ->
		if
#ifndef NO_GENERATION
		:: g != generation -> goto await /* late, dropped */
		:: g == generation ->
#else
		:: true ->
#endif
			wrong_answer = n != event;
			assert(!wrong_answer);
			ended[event]++
		fi
	   }
#ifndef DEAF_WORKER
	:: !server_end[k] -> goto hung_up
#endif
#ifndef NO_DEADLINE
	:: goto late
#endif
	fi;
	goto next;

late:
	atomic {
		ended[event]++;
		if  /* a Cancel that finds no room is lost */
		:: nfull(to_server[MEMORY(k)]) -> to_server[MEMORY(k)]!generation,EVENTS
		:: full(to_server[MEMORY(k)])
		fi
	}
	goto next;

hung_up:
	atomic { ended[event]++; worker_end[k] = 0 }
#ifdef WAITS_ON
	goto await; /* the event is failed, and still waited for */
#endif
	goto attach;

over:
	if
	:: k < SESSIONS -> worker_end[k] = 0 /* it leaves */
	:: else
	fi
	} unless { worker_life != life }
}

/* ---- server --------------------------------------------------------- */

/* One session: its reader, and the handler of the one slot. */
proctype session(byte k; byte life) {
	byte g, n, generation, event;
	bit busy;

	{ skip;
read:
	if
	:: to_server[MEMORY(k)]?g,n ->
		if
		:: n >= EVENTS -> /* a Cancel; of a handler that has ended, it is late */
			if
			:: busy && g == generation -> busy = 0; running[k]--
			:: else
			fi
		:: else ->
			/* A new generation ends the one before: its Cancel was lost. */
			if
			:: busy -> running[k]--
			:: else
			fi;
			generation = g; event = n; busy = 1; running[k]++
		fi;
		goto read
	:: busy -> goto done
#ifndef DEAF_SERVER
	:: !worker_end[k] -> goto end_session
#endif
	fi;

done: /* the handler ends, whenever it likes */
	if
	:: to_worker[MEMORY(k)]!generation,event -> busy = 0; running[k]--; goto read
	:: full(to_worker[MEMORY(k)]) -> /* the reader goes on reading */
		if
		:: nempty(to_server[MEMORY(k)]) -> goto read
#ifndef DEAF_SERVER
		:: !worker_end[k] -> goto end_session
#endif
		:: nfull(to_worker[MEMORY(k)]) -> goto done
		fi
	fi;

end_session: /* the handler's calls fail and its context is cancelled */
	atomic {
		running[k] = running[k] - busy; busy = 0;
		freed[k] = 1; server_end[k] = 0
	}
	} unless { server_life != life }
}

/* ---- death ---------------------------------------------------------- */

/* The kernel closes what a process had, all in one as far as others can see;
   what stands in the memory stays. */
proctype fate() {
	byte i;
	do
	:: worker_life < 1 -> d_step {
		worker_life++;
		i = 0;
		do
		:: i < SESSIONS -> worker_end[i] = 0; i++
		:: else -> break
		od;
		i = 0;
		do
		:: i < asked -> orphan[i] = 1; i++
		:: else -> break
		od
	   };
	   run worker(worker_life)
	:: server_life < 1 -> d_step {
		server_life++;
		i = 0;
		do
		:: i < SESSIONS ->
			server_end[i] = 0; running[i] = 0;
			freed[i] = 1; i++ /* with its process */
		:: else -> break
		od
	   }
	:: break /* nobody dies any more */
	od
}

/* When all has come to rest. */
proctype reckoning() {
	byte i;
	timeout ->
	do
	:: i < asked ->
		not_one_end = !orphan[i] && ended[i] != 1;
		assert(!not_one_end);
		i++
	:: else -> break
	od;
	i = 0;
	do
	:: i < begun ->
		left_over = !freed[i] || running[i] != 0;
		assert(!left_over);
		i++
	:: else -> break
	od
}

init {
	atomic {
		listening = 1;
		run worker(0); run fate(); run reckoning()
	}
}
