/* Frames that Python seldom has: signal handlers, on a stack of their own too,
   the vDSO, lazily bound calls, functions that never return. */
#define _GNU_SOURCE
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <wchar.h>

static volatile double sink;
static volatile int depth;

struct pair { int a, b; };
enum color { RED, GREEN, BLUE };

__attribute__((noinline)) static double spin(int n, const char *why, struct pair p, enum color c, double f, char x)
{
    double s = f;
    for (int i = 0; i < n * 400; i++)
        s += sin(i) * p.a + (double)strlen(why) + c + x;
    return s;
}

__attribute__((noinline)) static int clocks(int n)
{
    struct timespec ts;
    int sum = 0;
    for (int i = 0; i < n * 1000; i++) {
        timespec_get(&ts, TIME_UTC); /* gdb takes clock_gettime for the vDSO's */
        sum += ts.tv_nsec & 1;
    }
    return sum;
}

/* Strings that take some care to print. */
__attribute__((noinline)) static int texts(const char *s, const wchar_t *w, wchar_t c, int n)
{
    return clocks(n) + (int)strlen(s) + (int)wcslen(w) + c;
}

static void handler(int sig, siginfo_t *info, void *context)
{
    (void)info;
    (void)context;
    struct pair p = {depth, sig};
    sink = spin(20, "in the handler", p, GREEN, 0.5, 'x');
    if (sig == SIGUSR1 && depth++ < 2)
        raise(SIGUSR2);
    sink += clocks(3);
    depth = 0;
}

static int compare(const void *a, const void *b)
{
    struct pair p = {*(const int *)a, *(const int *)b};
    sink = spin(1, "compare", p, BLUE, -1.25, '\n');
    return p.a - p.b;
}

__attribute__((noinline)) static int tail(int n) { return clocks(n + 1); }
__attribute__((noinline)) int jump(int n) { return tail(n * 2); }

__attribute__((noinline, noreturn)) static void never(jmp_buf *to, int n)
{
    sink = spin(n, "never", (struct pair){1, 2}, RED, 1e100, -1);
    longjmp(*to, 1);
}

int main(void)
{
    static char altstack[1 << 16];
    stack_t alt = {.ss_sp = altstack, .ss_size = sizeof altstack};
    sigaltstack(&alt, 0);
    struct sigaction sa = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGUSR1, &sa, 0);
    sa.sa_flags |= SA_ONSTACK;
    sigaction(SIGUSR2, &sa, 0);
    struct itimerval timer = {{0, 7000}, {0, 7000}};
    setitimer(ITIMER_PROF, &timer, 0);
    time_t end = time(0) + 120;
    while (time(0) < end) {
        int data[40];
        for (int i = 0; i < 40; i++)
            data[i] = rand();
        qsort(data, 40, sizeof data[0], compare);
        raise(SIGUSR1);
        sink += jump(5) + clocks(4);
        wchar_t odd[] = {0xfa5e0c0, '1', 0xd800, '2', 0x1ff, '3', 0x200, 'a', 0};
        sink += texts("\0017\3758\0339\177\"7, b=3", L"h\x1" L"7\xe9\x20ac\x1f600" L"8\n", L'\x20ac', 4);
        sink += texts("a\301\301\301\301\301\301\301\301\301\301\301\301\301b", odd, 7, 4);
        sink += texts("", L"aaaaaaaaaaaaaaaaaaaaab", L'a', 4);
        jmp_buf to;
        if (!setjmp(to))
            never(&to, 30);
    }
    return 0;
}
