//go:build ignore
// (that line keeps the go command, which finds this file in a Go package, off)

/*
 * What the kernel and the memory give between two cores: two pinned threads
 * that share nothing but what the figure is about.
 *
 *   cc -std=c11 -O2 -pthread -o limits bench/limits.c
 *   ./limits CPU CPU ROUND-TRIPS [BYTES...]
 *
 * Printed is one figure a line, name and nanoseconds:
 *
 *   syscall N          getppid
 *   futex N            round trip: store and FUTEX_WAKE, FUTEX_WAIT on the other
 *   eventfd N          round trip: write, and a blocking read
 *   socket N           round trip of 64 bytes through a pair of Unix sockets
 *   memcpy-BYTES N     a buffer to the other core and back: copied into shared
 *                      memory and out of it, each way; the waits spin
 *
 * The clock is read at each piece, a 20th of the round trips; the median piece
 * counts, and the first is for warming up.
 */

#define _GNU_SOURCE
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PIECES 20
#define MESSAGE 64

/* One direction. Two lines apart: x86 fetches lines in pairs. */
struct way {
	_Alignas(128) atomic_uint word;
	int bell;      /* eventfd */
	int fds[2];    /* the sender's end, the receiver's end */
	char *through; /* shared memory of a copy */
	char *out;     /* what the receiver copied it to */
};

/* Sends or awaits the i-th signal. */
struct figure {
	void (*send)(struct way *way, unsigned i);
	void (*await)(struct way *way, unsigned i);
};

static struct way ways[2];
static const struct figure *played;
static unsigned trips;
static size_t bytes;

static void must(int ok, const char *what)
{
	if (!ok) {
		perror(what);
		exit(1);
	}
}

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	must(sched_setaffinity(0, sizeof(set), &set) == 0, "sched_setaffinity");
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static void futex_send(struct way *way, unsigned i)
{
	atomic_store(&way->word, i);
	syscall(SYS_futex, &way->word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void futex_await(struct way *way, unsigned i)
{
	unsigned seen;

	while ((seen = atomic_load(&way->word)) != i)
		syscall(SYS_futex, &way->word, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}

static void eventfd_send(struct way *way, unsigned i)
{
	uint64_t one = 1;

	(void) i;
	must(write(way->bell, &one, sizeof(one)) == sizeof(one), "write");
}

static void eventfd_await(struct way *way, unsigned i)
{
	uint64_t count;

	(void) i;
	must(read(way->bell, &count, sizeof(count)) == sizeof(count), "read");
}

static void socket_send(struct way *way, unsigned i)
{
	char message[MESSAGE] = { 0 };

	(void) i;
	must(write(way->fds[0], message, MESSAGE) == MESSAGE, "write");
}

static void socket_await(struct way *way, unsigned i)
{
	char message[MESSAGE];

	(void) i;
	must(read(way->fds[1], message, MESSAGE) == MESSAGE, "read");
}

/* What one side got is what it sends on. */
static void copy_send(struct way *way, unsigned i)
{
	struct way *other = way == &ways[0] ? &ways[1] : &ways[0];

	memcpy(way->through, other->out, bytes);
	atomic_store_explicit(&way->word, i, memory_order_release);
}

static void copy_await(struct way *way, unsigned i)
{
	while (atomic_load_explicit(&way->word, memory_order_acquire) != i)
		;
	memcpy(way->out, way->through, bytes);
}

static const struct figure futex = { futex_send, futex_await };
static const struct figure bell = { eventfd_send, eventfd_await };
static const struct figure stream = { socket_send, socket_await };
static const struct figure copies = { copy_send, copy_await };

static void *answer(void *cpu)
{
	pin(*(int *) cpu);
	for (unsigned i = 1; i <= trips; i++) {
		played->await(&ways[0], i);
		played->send(&ways[1], i);
	}
	return NULL;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *) a, y = *(const double *) b;

	return (x > y) - (x < y);
}

static void report(const char *name, double *pieces)
{
	qsort(pieces + 1, PIECES - 1, sizeof(double), ascending);
	printf("%s %.1f\n", name, pieces[PIECES / 2]);
}

static void round_trip(const char *name, const struct figure *figure, int cpu)
{
	double pieces[PIECES];
	pthread_t thread;
	unsigned n = 0;

	played = figure;
	atomic_store(&ways[0].word, 0);
	atomic_store(&ways[1].word, 0);
	must(pthread_create(&thread, NULL, answer, &cpu) == 0, "pthread_create");
	for (unsigned piece = 0; piece < PIECES; piece++) {
		double from = now();

		for (unsigned i = 0; i < trips / PIECES; i++) {
			figure->send(&ways[0], ++n);
			figure->await(&ways[1], n);
		}
		pieces[piece] = (now() - from) / (trips / PIECES);
	}
	pthread_join(thread, NULL);
	report(name, pieces);
}

static void system_call(void)
{
	double pieces[PIECES];

	for (unsigned piece = 0; piece < PIECES; piece++) {
		double from = now();

		for (unsigned i = 0; i < trips; i++)
			syscall(SYS_getppid);
		pieces[piece] = (now() - from) / trips;
	}
	report("syscall", pieces);
}

static void open_ways(size_t most)
{
	for (int i = 0; i < 2; i++) {
		ways[i].bell = eventfd(0, 0);
		must(ways[i].bell >= 0, "eventfd");
		must(socketpair(AF_UNIX, SOCK_STREAM, 0, ways[i].fds) == 0, "socketpair");
		ways[i].through = malloc(most);
		ways[i].out = malloc(most);
		must(ways[i].through != NULL && ways[i].out != NULL, "malloc");
		memset(ways[i].through, i, most);
		memset(ways[i].out, i, most);
	}
}

int main(int argc, char **argv)
{
	unsigned asked = argc >= 4 ? (unsigned) atoi(argv[3]) / PIECES * PIECES : 0;
	int other;
	size_t most = 1;

	if (asked == 0) {
		fprintf(stderr, "usage: limits CPU CPU ROUND-TRIPS [BYTES...]\n");
		return 2;
	}
	for (int i = 4; i < argc; i++)
		if ((size_t) atol(argv[i]) > most)
			most = (size_t) atol(argv[i]);
	pin(atoi(argv[1]));
	other = atoi(argv[2]);
	open_ways(most);

	trips = asked;
	system_call();
	round_trip("futex", &futex, other);
	round_trip("eventfd", &bell, other);
	round_trip("socket", &stream, other);
	for (int i = 4; i < argc; i++) {
		char name[64];

		bytes = (size_t) atol(argv[i]);
		snprintf(name, sizeof(name), "memcpy-%zu", bytes);
		/* fewer of the long ones, and three in a piece at least */
		trips = asked * 4096.0 / (bytes + 4096);
		trips = (trips < 3 * PIECES ? 3 * PIECES : trips) / PIECES * PIECES;
		round_trip(name, &copies, other);
	}
	return 0;
}
