//go:build ignore
// (that line keeps the go command, which finds this file in a Go package, off)

/*
 * The physical limit of a round trip between two cores: two pinned threads,
 * one cache line for each direction, a release store and an acquire load, and
 * nothing else.
 *
 *   cc -std=c11 -O2 -pthread -o pingpong bench/pingpong.c
 *   ./pingpong CPU CPU ROUND-TRIPS RUNS
 *
 * Waiting with PAUSE (YIELD) between two looks is quicker on one machine and
 * waiting without on another: both are run in turn, that many times. The clock
 * is read every 500 round trips; of all these pieces the median counts, so
 * that one in which somebody else had the core does not. Printed is the smaller
 * of the two medians in nanoseconds per round trip, with its name.
 */

#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Two lines apart: x86 fetches lines in pairs. */
static struct {
	_Alignas(128) atomic_uint ping;
	_Alignas(128) atomic_uint pong;
} shared;

#define PIECE 500

static unsigned trips;
static int with_pause;

static void look_again(void)
{
	if (!with_pause)
		return;
#if defined(__x86_64__)
	__asm__ volatile("pause");
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) != 0) {
		perror("sched_setaffinity");
		exit(1);
	}
}

static void await(atomic_uint *word, unsigned value)
{
	while (atomic_load_explicit(word, memory_order_acquire) != value)
		look_again();
}

static void *answer(void *cpu)
{
	pin(*(int *) cpu);
	for (unsigned i = 1; i <= trips; i++) {
		await(&shared.ping, i);
		atomic_store_explicit(&shared.pong, i, memory_order_release);
	}
	return NULL;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

/* Fills pieces with nanoseconds per round trip, and gives their number. The
 * first piece is for warming up. */
static size_t run(int cpu, double *piece)
{
	pthread_t thread;
	size_t n = 0;
	double from = 0;

	atomic_store(&shared.ping, 0);
	atomic_store(&shared.pong, 0);
	if (pthread_create(&thread, NULL, answer, &cpu) != 0)
		exit(1);
	for (unsigned i = 1; i <= trips; i++) {
		atomic_store_explicit(&shared.ping, i, memory_order_release);
		await(&shared.pong, i);
		if (i % PIECE == 0) {
			double to = now();

			if (i > PIECE)
				piece[n++] = (to - from) / PIECE;
			from = to;
		}
	}
	pthread_join(thread, NULL);
	return n;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *) a, y = *(const double *) b;

	return (x > y) - (x < y);
}

static double median(double *values, size_t n)
{
	qsort(values, n, sizeof(double), ascending);
	return values[n / 2];
}

int main(int argc, char **argv)
{
	double *pieces[2], medians[2];
	size_t n[2] = { 0, 0 };
	int runs = argc == 5 ? atoi(argv[4]) : 0;

	trips = argc == 5 ? (unsigned) atoi(argv[3]) : 0;
	if (runs < 1 || trips < 2 * PIECE) {
		fprintf(stderr, "usage: pingpong CPU CPU ROUND-TRIPS RUNS\n");
		return 2;
	}
	pin(atoi(argv[1]));
	for (int i = 0; i < 2; i++) {
		pieces[i] = calloc((size_t) runs * (trips / PIECE), sizeof(double));
		if (pieces[i] == NULL)
			return 1;
	}
	for (int i = 0; i < 2 * runs; i++) {
		with_pause = i % 2;
		n[with_pause] += run(atoi(argv[2]), pieces[with_pause] + n[with_pause]);
	}
	for (int i = 0; i < 2; i++)
		medians[i] = median(pieces[i], n[i]);
	printf("%.1f %s\n", medians[1] < medians[0] ? medians[1] : medians[0],
	       medians[1] < medians[0] ? "with pause" : "without pause");
	return 0;
}
