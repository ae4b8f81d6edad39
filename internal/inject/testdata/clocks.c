/* Reads every clock many times and checks the answers against the system
 * call; prints the sum of all times read, which a replay must repeat. */
#define _GNU_SOURCE
#include <execinfo.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int64_t ns(struct timespec t) { return t.tv_sec * 1000000000LL + t.tv_nsec; }

static void fail(const char *what, int id, int64_t a, int64_t b)
{
	printf("FAIL %s clock %d: %lld %lld\n", what, id, (long long)a, (long long)b);
	exit(1);
}

static sigjmp_buf env;
static int depth;
static void on_fault(int sig)
{
	void *frames[32];
	(void)sig;
	depth = backtrace(frames, 32);
	siglongjmp(env, 1);
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 10000;
	int replay = argc > 2 && !strcmp(argv[2], "replay");
	/* The loader does not know the kernel's vDSO then. */
	int kernel = argc > 2 && !strcmp(argv[2], "passthrough");
	static const int ids[] = {0, 1, 2, 3, 4, 5, 6, 7, 11};
	uint64_t sum = 0;
	for (unsigned k = 0; k < sizeof ids / sizeof *ids; k++) {
		int id = ids[k];
		struct timespec t, last = {0, 0}, real;
		/* Only the clocks of the buffer are the same on replay. */
		int buffered = id == 0 || id == 1 || (id >= 4 && id <= 7);
		for (int i = 0; i < rounds; i++) {
			memset(&t, 0xff, sizeof t);
			if (clock_gettime(id, &t))
				fail("result", id, i, 0);
			if (t.tv_nsec < 0 || t.tv_nsec > 999999999)
				fail("nanoseconds", id, t.tv_nsec, i);
			if (id != 0 && ns(t) < ns(last))
				fail("backwards", id, ns(last), ns(t));
			last = t;
			if (buffered)
				sum = sum * 31 + ns(t);
		}
		if (!replay) {
			if (syscall(SYS_clock_gettime, id, &real))
				fail("system call", id, 0, 0);
			int64_t d = ns(real) - ns(last);
			if (d < 0 || d > 1000000000LL)
				fail("distance from the system call", id, ns(last), ns(real));
		}
	}
	struct timespec bad;
	if (clock_gettime(9999, &bad) != -1)
		fail("unknown clock", 9999, 0, 0);

	/* A bad pointer faults, and the next reading is right. */
	struct timespec before, after;
	clock_gettime(CLOCK_MONOTONIC, &before);
	signal(SIGSEGV, on_fault);
	if (!sigsetjmp(env, 1)) {
		/* The system call returns an error instead. */
		if (!clock_gettime(CLOCK_MONOTONIC, (struct timespec *)16))
			fail("bad pointer", 1, 0, 0);
	}
	/* This handler, the signal frame, the vDSO, main and who called it. */
	if (depth && depth < 5 && !kernel)
		fail("backtrace from the fault", 1, depth, 0);
	clock_gettime(CLOCK_MONOTONIC, &after);
	if (ns(after) < ns(before))
		fail("after a fault", 1, ns(before), ns(after));
	sum = sum * 31 + ns(after);

	if (!replay) {
		struct timeval tv;
		struct timespec now;
		clock_gettime(CLOCK_REALTIME, &now);
		time_t sec = time(NULL);
		gettimeofday(&tv, NULL);
		if (sec < now.tv_sec - 1 || sec > now.tv_sec + 5 || tv.tv_sec < sec - 1 || tv.tv_sec > sec + 5)
			fail("time or gettimeofday", 0, sec, tv.tv_sec);
	}
	printf("ok %016llx\n", (unsigned long long)sum);
	return 0;
}
