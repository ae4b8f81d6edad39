// Threads that wait for each other in native code, in the ways that libraries
// do: spin STYLE THREADS ROUNDS. The threads pass a token around; each adds to
// a sum when it holds it. Prints the sum.
#define _GNU_SOURCE
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int style_n, threads, rounds;
static volatile int token;
static volatile long sum;
static int lock_word, next_ticket;
static volatile int serving;
static volatile long counted;

static inline void relax(void) { __asm__ volatile("pause" ::: "memory"); }

static void futex(volatile int *w, int op, int v) { syscall(SYS_futex, w, op, v, 0, 0, 0); }

static unsigned long tsc(void) {
	unsigned lo, hi;
	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (unsigned long)hi << 32 | lo;
}

static void wait_pause(int me) { while (token != me) relax(); }
static void wait_plain(int me) { while (token != me) {} }
static void wait_nops(int me) { while (token != me) __asm__ volatile("nop;nop;nop;nop;nop;nop;nop;nop"); }
static void wait_yield(int me) { while (token != me) sched_yield(); }

static void wait_futex(int me) {
	for (int i = 0; i < 5000; i++) {
		if (token == me) return;
		relax();
	}
	for (int t; (t = token) != me;) futex(&token, FUTEX_WAIT_PRIVATE, t);
}

// A lock by cmpxchg, without a hint: everyone takes it to look at the token.
static void wait_cas(int me) {
	for (;;) {
		int free = 0;
		while (!__atomic_compare_exchange_n(&lock_word, &free, 1, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) free = 0;
		int mine = token == me;
		__atomic_store_n(&lock_word, 0, __ATOMIC_RELEASE);
		if (mine) return;
		for (int i = 0; i < 100; i++) relax();
	}
}

static void wait_ticket(int me) {
	for (;;) {
		int t = __atomic_fetch_add(&next_ticket, 1, __ATOMIC_RELAXED);
		while (serving != t) relax();
		int mine = token == me;
		__atomic_store_n(&serving, t + 1, __ATOMIC_RELEASE);
		if (mine) return;
		relax();
	}
}

static void wait_rdtsc(int me) {
	while (token != me)
		for (unsigned long end = tsc() + 2000; tsc() < end && token != me;) {}
}

// A counter in memory that no register shows.
static void wait_counter(int me) {
	while (token != me) { counted++; relax(); }
}

static __thread unsigned seed;

static void wait_steal(int me) {
	if (!seed) seed = 2463534242u + me;
	while (token != me) {
		seed ^= seed << 13; seed ^= seed >> 17; seed ^= seed << 5;
		for (unsigned i = seed % 50; i; i--) relax();
	}
}

static struct { const char *name; void (*wait)(int); } styles[] = {
	{"pause", wait_pause}, {"plain", wait_plain}, {"nops", wait_nops}, {"yield", wait_yield}, {"futex", wait_futex}, {"cas", wait_cas},
	{"ticket", wait_ticket}, {"rdtsc", wait_rdtsc}, {"counter", wait_counter}, {"steal", wait_steal},
};

static void *run(void *arg) {
	int me = (int)(long)arg;
	for (int i = 0; i < rounds; i++) {
		styles[style_n].wait(me);
		sum = sum * 3 + me;
		token = (me + 1) % threads;
		if (styles[style_n].wait == wait_futex) futex(&token, FUTEX_WAKE_PRIVATE, 1 << 30);
	}
	return 0;
}

int main(int argc, char **argv) {
	threads = atoi(argv[2]), rounds = atoi(argv[3]);
	for (style_n = 0; strcmp(styles[style_n].name, argv[1]); style_n++) {}
	pthread_t t[64];
	for (long i = 1; i < threads; i++) pthread_create(&t[i], 0, run, (void *)i);
	run(0);
	for (int i = 1; i < threads; i++) pthread_join(t[i], 0);
	printf("%ld\n", sum);
	return 0;
}
