/* What a system call costs at least on this machine, in nanoseconds: made
 * natively, turned into a signal (seccomp), stopped once and twice by a tracer.
 * Prints a line of "name nanoseconds" for each. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef PTRACE_SYSEMU
#define PTRACE_SYSEMU 31
#endif

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static void calls(int n)
{
	for (int i = 0; i < n; i++)
		syscall(SYS_getppid);
}

static double native(int n)
{
	double t = now();
	calls(n);
	return (now() - t) / n;
}

static void on_sigsys(int sig) { (void)sig; }

/* seccomp(2) with SECCOMP_RET_TRAP for getppid, in a child. */
static double trapped(int n)
{
	int p[2];
	double per = 0;
	if (pipe(p))
		return 0;
	pid_t pid = fork();
	if (pid == 0) {
		struct sock_filter f[] = {
			BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
			BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
			BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
			BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		};
		struct sock_fprog prog = {sizeof f / sizeof *f, f};
		signal(SIGSYS, on_sigsys);
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog))
			_exit(1);
		per = native(n);
		_exit(write(p[1], &per, sizeof per) != sizeof per);
	}
	close(p[1]);
	if (read(p[0], &per, sizeof per) != sizeof per)
		per = 0;
	close(p[0]);
	waitpid(pid, NULL, 0);
	return per;
}

/* A tracer on the same processor, as pyrr is. */
static double stopped(int n, long request)
{
	pid_t pid = fork();
	if (pid == 0) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		for (;;)
			syscall(SYS_getppid);
	}
	int st;
	waitpid(pid, &st, 0);
	double t = now();
	for (int i = 0; i < n; i++) {
		if (ptrace(request, pid, 0, 0) || waitpid(pid, &st, 0) != pid)
			break;
	}
	t = (now() - t) / n;
	kill(pid, SIGKILL);
	waitpid(pid, &st, 0);
	return t;
}

static double best(double (*f)(int, long), int n, long arg)
{
	double least = 0;
	for (int i = 0; i < 5; i++) {
		double t = f(n, arg);
		if (t > 0 && (least == 0 || t < least))
			least = t;
	}
	return least;
}

static double native1(int n, long arg) { (void)arg; return native(n); }
static double trapped1(int n, long arg) { (void)arg; return trapped(n); }

int main(void)
{
	cpu_set_t one;
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	sched_setaffinity(0, sizeof one, &one);
	printf("native %.0f\n", best(native1, 200000, 0));
	printf("signal %.0f\n", best(trapped1, 20000, 0));
	printf("stop %.0f\n", best(stopped, 10000, PTRACE_SYSEMU));
	printf("stops %.0f\n", 2 * best(stopped, 10000, PTRACE_SYSCALL));
	return 0;
}
