/*
 * What Lua cannot say about memory that two processes share. LuaJIT ignores
 * volatile, keeps loads out of loops and drops stores; each function here is
 * opaque to it, and orders memory as its comment tells. The tags P1 to P4 are
 * those of the Go package ring; kongring/ring.lua uses them.
 *
 * Freestanding C11: no libc, no start-up code, nothing undefined. The
 * compiler's flags are in the file flags beside this one.
 */

#include "kongring_layout.h"

#define EXPORT __attribute__((visibility("default")))

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "byte order");
_Static_assert(__GCC_ATOMIC_INT_LOCK_FREE == 2, "lock-free 32-bit atomics");

/* Looks at a word between two looks at the clock: a look costs a pause of the
 * processor, the clock some more. */
#define LOOKS 8

#if defined(__x86_64__)

static inline void pause(void) { __asm__ volatile("pause"); }

/* The time stamp counter: constant rate on every x86-64 of this decade. Not
 * serialised, which is good enough for a budget. */
static inline uint64_t clock(void)
{
	uint32_t low, high;
	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t) high << 32 | low;
}

/* More rounds of LOOKS than fit into so many ticks: one takes 64 or more. */
static inline uint64_t rounds(uint32_t ticks) { return ticks / 32 + 1; }

#elif defined(__aarch64__)

/* The out-of-line atomics that GCC prefers here live in libgcc. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC target("no-outline-atomics")
#endif

static inline void pause(void) { __asm__ volatile("yield"); }

/* The virtual counter: 24 MHz to 1 GHz, readable by any process on Linux. */
static inline uint64_t clock(void)
{
	uint64_t ticks;
	__asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
	return ticks;
}

/* At 24 MHz a tick is 42 ns, and a round of LOOKS takes 4 ns or more. */
static inline uint64_t rounds(uint32_t ticks)
{
	return (uint64_t) ticks * 16 + 1;
}

#else
#error "kongring supports x86-64 and aarch64"
#endif

/* Not kongring_load: a call of an export goes through the linkage table. */
static inline uint32_t acquire(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

/* The version of these functions; the loader compares it. */
EXPORT uint32_t kongring_abi(void) { return KONGRING_HELPER_ABI; }

/* The same for who reads the file and does not load it: kongring doctor. */
EXPORT extern const uint32_t kongring_abi_number;
const uint32_t kongring_abi_number = KONGRING_HELPER_ABI;

/* Load-acquire: what the peer stored before its kongring_store of the value is
 * seen after it. Reading side of P1 and P2. */
EXPORT uint32_t kongring_load(const uint32_t *word)
{
	return acquire(word);
}

/* Store-release: what this side stored and loaded before comes first. Writing
 * side of P1 and P2. */
EXPORT void kongring_store(uint32_t *word, uint32_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

/* Swap, sequentially consistent: of two sides that take a 1 away, one sees
 * it. */
EXPORT uint32_t kongring_exchange(uint32_t *word, uint32_t value)
{
	return __atomic_exchange_n(word, value, __ATOMIC_SEQ_CST);
}

/* Full fence: the only thing that keeps a store before a later load of another
 * word. Both sides of P3 and P4 need one. */
EXPORT void kongring_fence(void) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

/* Looks at the word, once at least, until it is not old any more or that many
 * ticks are over. Gives its last value (acquire, as kongring_load). The number
 * of looks is bounded as well: a clock that stands still ends the spin late,
 * not never. */
EXPORT uint32_t kongring_spin(const uint32_t *word, uint32_t old,
                              uint32_t ticks)
{
	uint32_t now = acquire(word);
	uint64_t start, left;

	if (now != old || ticks == 0)
		return now;
	start = clock();
	for (left = rounds(ticks); left > 0; left--) {
		for (int i = 0; i < LOOKS; i++) {
			pause();
			now = acquire(word);
			if (now != old)
				return now;
		}
		if (clock() - start >= ticks)
			break;
	}
	return now;
}

/* The clock of kongring_spin: exact for many years, as a double holds 53 bits
 * of it. */
EXPORT double kongring_ticks(void) { return (double) clock(); }
