//go:build linux && amd64

package main

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// shownProgram prints what a processor and a kernel tell a program of themselves.
const shownProgram = `
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <sys/auxv.h>
#include <sys/rseq.h>
#include <time.h>
#include <unistd.h>
static void leaf(unsigned l, unsigned s) {
    unsigned r[4];
    __asm__ volatile("cpuid" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3]) : "a"(l), "c"(s));
    for (int i = 0; i < 4; i++) printf("%x.%x.%s %x\n", l, s, (char *[]){"eax", "ebx", "ecx", "edx"}[i], r[i]);
}
static void handle(int n, siginfo_t *i, void *u) {
    unsigned *reserved = (unsigned *)((char *)((ucontext_t *)u)->uc_mcontext.fpregs + 464);
    printf("frame.magic %x\n", reserved[0]);
}
int main(int argc, char **argv) {
    unsigned a, c, d;
    if (!freopen(argv[1], "w", stdout)) return 1;
    unsigned long id;
    leaf(1, 0), leaf(7, 0), leaf(7, 1), leaf(0xb, 0), leaf(0xd, 0), leaf(0xd, 1), leaf(0x14, 0), leaf(0x80000008, 0);
    __asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    printf("xcr0 %x\n", a);
    __asm__ volatile("rdtscp" : "=a"(a), "=d"(d), "=c"(c));
    printf("rdtscp %x\n", c);
    __asm__ volatile(".byte 0xf3, 0x0f, 0xc7, 0xf8" : "=a"(id)); /* rdpid rax */
    printf("rdpid %lx\n", id);
    __asm__ volatile("mov $0x7b, %%r9d; lsl %%r9d, %%eax" : "=a"(a) : : "r9"); /* as in an old vDSO's getcpu */
    printf("lsl %x\n", a);
    printf("rseq %x\n", *(unsigned *)((char *)__builtin_thread_pointer() + __rseq_offset + 4));
    printf("hwcap2 %lx\n", getauxval(AT_HWCAP2));
    struct sigaction sa = {.sa_flags = SA_SIGINFO, .sa_sigaction = handle};
    sigaction(SIGUSR1, &sa, 0);
    raise(SIGUSR1);
    printf("minsigstksz %d\n", getauxval(51) <= (unsigned long)sysconf(_SC_MINSIGSTKSZ));
}
`

// TestShownOfTheMachine holds that a recorded program is shown of the processor what every
// x86-64-v3 has, and nothing that differs from one processor of it to the other.
func TestShownOfTheMachine(t *testing.T) {
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("no gcc")
	}
	dir := t.TempDir()
	source, program := filepath.Join(dir, "shown.c"), filepath.Join(dir, "shown")
	if err := os.WriteFile(source, []byte(shownProgram), 0o666); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(gcc, "-O1", "-o", program, source).CombinedOutput(); err != nil {
		t.Skipf("it does not compile here (rseq takes glibc 2.35): %s", out)
	}
	text := filepath.Join(dir, "shown.txt")
	if status, _, errs := capturePyrr("record", "--follow", "all", "-o", filepath.Join(dir, "x.pyrr.zip"), "--", program, text); status != 0 || !strings.Contains(errs, ", verified\n") {
		t.Fatalf("status %d\n%s", status, errs)
	}
	out, err := os.ReadFile(text)
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]uint64{}
	for l := range strings.Lines(string(out)) {
		if name, hex, ok := strings.Cut(strings.TrimSpace(l), " "); ok {
			shown[name], _ = strconv.ParseUint(hex, 16, 64)
		}
	}
	// Of each word the bits that have to be 0, and what the rest has to be where that is known.
	const any = 1 << 40
	wants := map[string]struct{ hidden, rest uint64 }{
		"1.0.ebx":        {0xff << 24, any},                                        // APIC id
		"1.0.ecx":        {1<<3 | 1<<17 | 1<<18 | 1<<21 | 1<<30, any},              // MONITOR, PCID, DCA, x2APIC, RDRAND
		"7.0.ebx":        {1 | 1<<4 | 1<<11 | 1<<16 | 1<<18 | 1<<29, any},          // FSGSBASE, HLE, RTM, AVX512F, RDSEED, SHA
		"7.0.ecx":        {0xffffffff, 0},                                          // PKU, WAITPKG, RDPID, shadow stacks
		"7.0.edx":        {0xffffffff &^ (1 << 4), any},                            // AMX
		"7.1.eax":        {0xffffffff, 0},                                          // AVX-VNNI
		"b.0.edx":        {0xffffffff, 0},                                          // x2APIC id
		"d.0.eax":        {0, 7},                                                   // x87, SSE, AVX
		"d.1.eax":        {0xffffffff, 0},                                          // XSAVEOPT, XSAVEC, XSAVES
		"14.0.eax":       {0xffffffff, 0},                                          // processor trace
		"80000008.0.ebx": {0xffffffff, 0},                                          // RDPRU
		"xcr0":           {0, 7}, "rdtscp": {0, 0}, "rdpid": {0, 0}, "lsl": {0, 0}, // no number of a CPU
		"rseq": {0, 0xfffffffe}, "hwcap2": {0xffffffff, 0}, // not registered; MWAIT, FSGSBASE
		"frame.magic": {0, 0x46505853}, "minsigstksz": {0, 1}, // an XSAVE area, that fits
	}
	for _, name := range slices.Sorted(maps.Keys(wants)) {
		w := wants[name]
		if got, ok := shown[name]; !ok || got&w.hidden != 0 || w.rest != any && got&^w.hidden != w.rest {
			t.Errorf("%s is %#x (there: %v), want none of %#x, else %#x", name, got, ok, w.hidden, w.rest)
		}
	}
}
