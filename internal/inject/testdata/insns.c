/* Executes every instruction that is answered, and checks the answers that
 * do not depend on the machine. It runs under the patcher alone: without it
 * an old processor faults. */
#include <stdint.h>
#include <stdio.h>

#define CHECK(c) do { if (!(c)) { printf("FAIL line %d: %s\n", __LINE__, #c); return 1; } } while (0)

static uint64_t tsc(void)
{
	uint32_t a, d;
	__asm__ volatile("rdtsc" : "=a"(a), "=d"(d));
	return (uint64_t)d << 32 | a;
}

int main(void)
{
	uint64_t last = 0, aux = ~0ULL, r;
	for (int i = 0; i < 100; i++) {
		uint64_t t = tsc();
		CHECK(t > last);
		last = t;
	}
	uint64_t a = ~0ULL, b = ~0ULL, c, d = ~0ULL;
	__asm__ volatile("rdtscp" : "=a"(a), "=d"(d), "=c"(aux));
	CHECK((d << 32 | a) > last && aux == 0);

	/* All four registers are written in full. */
	a = 0xffffffff00000007, b = c = d = ~0ULL, c = 0xffffffff00000000;
	__asm__ volatile("cpuid" : "+a"(a), "+b"(b), "+c"(c), "+d"(d));
	CHECK(a >> 32 == 0 && b >> 32 == 0 && c >> 32 == 0 && d >> 32 == 0);
	CHECK(!(b & (1 << 18 | 1 << 4 | 1 << 11 | 1 << 16))); /* RDSEED, HLE, RTM, AVX512F */
	a = 1, c = 0;
	__asm__ volatile("cpuid" : "+a"(a), "+b"(b), "+c"(c), "+d"(d));
	CHECK(!(c >> 30 & 1) && b >> 24 == 0); /* RDRAND, APIC id */

	a = ~0ULL, d = ~0ULL, c = 0;
	__asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(c));
	CHECK((a & ~7ULL) == 0 && a & 1 && d == 0);

	/* A number of each size, in low and high registers; CF says that there
	 * was one. */
	uint8_t cf;
	uint64_t seen = 0;
	for (int i = 0; i < 64; i++) {
		r = 0xeeeeeeeeeeeeeeee;
		__asm__ volatile("stc\n cmp %1, %1\n rdrand %0\n setc %1" : "+r"(r), "=q"(cf));
		CHECK(cf == 1);
		seen |= r;
	}
	CHECK(seen == ~0ULL || (seen >> 32 && (uint32_t)seen));
	r = ~0ULL;
	__asm__ volatile("mov %1, %%r13\n rdseed %%r13d\n mov %%r13, %0" : "=r"(r) : "r"(r) : "r13", "cc");
	CHECK(r >> 32 == 0);
	r = 0x123456789abcdef0;
	__asm__ volatile("mov %1, %%rsi\n rdseed %%si\n mov %%rsi, %0" : "=r"(r) : "r"(r) : "rsi", "cc");
	CHECK(r >> 16 == 0x123456789abc);
	r = ~0ULL;
	__asm__ volatile("mov %1, %%r8\n .byte 0xf3, 0x41, 0x0f, 0xc7, 0xf8\n mov %%r8, %0" : "=r"(r) : "r"(r) : "r8"); /* rdpid r8 */
	CHECK(r == 0);
	puts("ok");
	return 0;
}
