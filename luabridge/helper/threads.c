/*
 * The rules of the ring (package ring, kongring/ring.lua) in two threads of one
 * process, by the functions of the helper and over plain bytes, for
 * ThreadSanitizer: it sees the memory that Lua and Go hide from it. Built and
 * run by luabridge/helper_threads_test.go, with and without.
 *
 * A side asleep polls its doorbell, a relaxed word, which orders nothing: what
 * orders the bytes is P1 and P2 alone. The sanitizer does not know full fences,
 * so of P3 and P4 the run shows only that no wake-up is lost. Valgrind's tools
 * see locks, and not the order of atomics: they report every byte of this.
 */

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kongring_layout.h"

uint32_t kongring_load(const uint32_t *word);
void kongring_store(uint32_t *word, uint32_t value);
uint32_t kongring_exchange(uint32_t *word, uint32_t value);
void kongring_fence(void);
uint32_t kongring_spin(const uint32_t *word, uint32_t old, uint32_t ticks);

#define CAPACITY (16 * KONGRING_MIN_CAPACITY)
#define MASK (CAPACITY - 1)
#define LONGEST (CAPACITY / 4 - KONGRING_WORD_SIZE)
#define CLEAR_MOST 1024
#define CLEAR_STEP 256
#define PATIENCE 60 /* seconds until a wake-up counts as lost */

static struct {
	_Alignas(128) kongring_control control;
	_Alignas(8) uint8_t data[CAPACITY];
} ring = {.control.consumed = KONGRING_START};

/* Doorbells, and how often a side slept. */
static uint32_t frame_bell, room_bell;
static uint32_t frame_sleeps, room_sleeps;
static uint32_t frames;

static void fail(const char *what, uint32_t got, uint32_t want)
{
	fprintf(stderr, "%s: got %u, want %u\n", what, got, want);
	exit(1);
}

static uint32_t *word_at(uint32_t position)
{
	return (uint32_t *) (void *) (ring.data + (position & MASK));
}

static uint32_t frame_size(uint32_t length)
{
	return (KONGRING_WORD_SIZE + length + KONGRING_ALIGNMENT - 1) &
	       ~(KONGRING_ALIGNMENT - 1);
}

/* The frames of a run: mostly short ones, and bytes that follow from the
 * number. */
static uint32_t length_of(uint32_t number)
{
	return number * 2654435761u % (number % 16 == 0 ? LONGEST + 1 : 200);
}

static uint8_t byte_of(uint32_t number, uint32_t i)
{
	return (uint8_t) (number * 31 + i);
}

static void ring_bell(uint32_t *bell)
{
	__atomic_fetch_add(bell, 1, __ATOMIC_RELAXED);
}

/* Sleeps until the bell was rung since it had the value before. */
static void sleep_for(uint32_t *bell, uint32_t before, const char *what)
{
	time_t end = time(NULL) + PATIENCE;

	while (__atomic_load_n(bell, __ATOMIC_RELAXED) == before) {
		if (time(NULL) > end)
			fail(what, 0, 1);
		sched_yield();
	}
}

/* ---- producer ---- */

static uint32_t write_pos = KONGRING_START, known_consumed = KONGRING_START,
                zeroed = KONGRING_START;

static int reserve(uint32_t n)
{
	if (CAPACITY - (write_pos - known_consumed) >= n)
		return 1;
	known_consumed = kongring_load(&ring.control.consumed); /* P2 */
	if (write_pos - known_consumed > CAPACITY)
		fail("consumed", known_consumed, write_pos);
	return CAPACITY - (write_pos - known_consumed) >= n;
}

static void wait_for_room(uint32_t n)
{
	uint32_t before = __atomic_load_n(&room_bell, __ATOMIC_RELAXED);

	kongring_store(&ring.control.starved, 1); /* P4 */
	kongring_fence();
	if (reserve(n)) {
		kongring_store(&ring.control.starved, 0);
		return;
	}
	room_sleeps++;
	sleep_for(&room_bell, before, "the producer was woken");
}

static uint32_t least(uint32_t a, uint32_t b) { return a < b ? a : b; }

/* Clears what the next frame will probably take, behind the word that is
 * polled: nothing orders a plain store to that one. */
static void clear_ahead(uint32_t size)
{
	uint32_t from = write_pos + KONGRING_WORD_SIZE, goal, left;

	if ((int32_t) (zeroed - from) > 0)
		from = zeroed;
	goal = (write_pos + least(size, CLEAR_MOST) + 64 + CLEAR_STEP - 1) &
	       ~(CLEAR_STEP - 1u);
	if ((int32_t) (goal - from) <= 0)
		return;
	left = least(goal - from, CAPACITY - (from - known_consumed));
	left = least(left, CAPACITY - (from & MASK));
	memset(ring.data + (from & MASK), 0, left);
	zeroed = from + left;
}

static void write_frame(uint32_t number)
{
	uint32_t length = length_of(number), size = frame_size(length);
	uint32_t room = CAPACITY - (write_pos & MASK);
	uint32_t pad = size > room ? room : 0, at = write_pos + pad;

	while (!reserve(pad + size + KONGRING_ALIGNMENT))
		wait_for_room(pad + size + KONGRING_ALIGNMENT);

	*word_at(at + size) = 0; /* I4 */
	for (uint32_t i = 0; i < length; i++)
		ring.data[(at & MASK) + KONGRING_WORD_SIZE + i] = byte_of(number, i);
	kongring_store(word_at(at), KONGRING_COMMITTED | length); /* P1 */
	if (pad > 0)
		kongring_store(word_at(write_pos), KONGRING_COMMITTED | KONGRING_PAD |
		               (pad - KONGRING_WORD_SIZE)); /* P1 */
	write_pos += pad + size;
	clear_ahead(pad + size);

	kongring_fence(); /* P3 */
	if (kongring_load(&ring.control.sleeping) == 1 &&
	    kongring_exchange(&ring.control.sleeping, 0) == 1)
		ring_bell(&frame_bell);
}

static void *produce(void *unused)
{
	for (uint32_t number = 0; number < frames; number++)
		write_frame(number);
	return unused;
}

/* ---- consumer ---- */

static uint32_t read_pos = KONGRING_START, published = KONGRING_START;

static void publish(void)
{
	if (published != read_pos)
		kongring_store(&ring.control.consumed, read_pos); /* P2 */
	published = read_pos;
}

static void wake_producer(void)
{
	kongring_fence(); /* P4 */
	if (kongring_load(&ring.control.starved) == 1 &&
	    kongring_exchange(&ring.control.starved, 0) == 1)
		ring_bell(&room_bell);
}

static void wait_for_frame(void)
{
	uint32_t before = __atomic_load_n(&frame_bell, __ATOMIC_RELAXED);

	publish();
	kongring_store(&ring.control.sleeping, 1); /* P3 */
	kongring_fence();
	wake_producer();
	if (kongring_load(word_at(read_pos)) == 0) {
		frame_sleeps++;
		sleep_for(&frame_bell, before, "the consumer was woken");
	}
	kongring_store(&ring.control.sleeping, 0);
}

static void read_frame(uint32_t number)
{
	uint32_t word, pad = 0, length;
	uint8_t copy[LONGEST];

	while ((word = kongring_spin(word_at(read_pos), 0, 2000)) == 0)
		wait_for_frame();
	if (word & KONGRING_PAD) {
		pad = CAPACITY - (read_pos & MASK);
		if ((word & KONGRING_LENGTH_MASK) != pad - KONGRING_WORD_SIZE)
			fail("pad", word & KONGRING_LENGTH_MASK, pad - KONGRING_WORD_SIZE);
		word = kongring_load(word_at(read_pos + pad)); /* P1 */
	}
	length = word & KONGRING_LENGTH_MASK;
	if (length != length_of(number))
		fail("length", length, length_of(number));
	memcpy(copy, ring.data + ((read_pos + pad) & MASK) + KONGRING_WORD_SIZE, length);
	for (uint32_t i = 0; i < length; i++)
		if (copy[i] != byte_of(number, i))
			fail("byte", copy[i], byte_of(number, i));
	read_pos += pad + frame_size(length);
	if (read_pos - published >= CAPACITY / 4) {
		publish();
		wake_producer();
	}
}

int main(int argc, char **argv)
{
	pthread_t producer;

	frames = argc > 1 ? (uint32_t) strtoul(argv[1], NULL, 10) : 0;
	if (pthread_create(&producer, NULL, produce, NULL) != 0)
		fail("thread", 0, 1);
	for (uint32_t number = 0; number < frames; number++)
		read_frame(number);
	pthread_join(producer, NULL);
	printf("%u frames, the consumer slept %u times, the producer %u\n",
	       frames, frame_sleeps, room_sleeps);
	return 0;
}
