/* Passes vectors through calls that are bound lazily. */
#include <immintrin.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Looks external to the compiler: bound through the PLT of this program by
 * way of its export. */
__attribute__((visibility("default"), noinline)) __m256d twice(__m256d a, __m256d b) { return _mm256_add_pd(a, b); }

int main(void)
{
	volatile double x = 2;
	double got[4], canary[64];
	memset(canary, 0x5a, sizeof canary);
	register __m256d keep __asm__("ymm5") = _mm256_set_pd(1, 2, 3, 4);
	__asm__ volatile("" : "+x"(keep));
	/* First calls: each goes through _dl_runtime_resolve. */
	double r = sqrt(x) + pow(x, 3) + sin(0 * x) + fmod(x, 1.5);
	__m256d s = twice(_mm256_set_pd(x, 2 * x, 3 * x, 4 * x), _mm256_set1_pd(r));
	_mm256_storeu_pd(got, s);
	for (int i = 0; i < 64; i++)
		if (((unsigned char *)canary)[i * 8] != 0x5a)
			return 1;
	if (fabs(got[0] - (8 + r)) > 1e-9 || fabs(got[3] - (2 + r)) > 1e-9 || fabs(r - (1.4142135623730951 + 8 + 0 + 0.5)) > 1e-9)
		return 2;
	puts("ok");
	return 0;
}
