/* Functions without unwind information or symbols, between data that looks
 * like instructions. The sites are, in order: cpuid, rdtsc, xgetbv. */
__asm__(
	".text\n"
	".byte 0x0f, 0xa2, 0x0f, 0x31\n" /* data */
	"hidden_cpuid:\n"
	"  xor %eax, %eax\n"
	"  push %rbx\n"
	"  cpuid\n"
	"  pop %rbx\n"
	"  test %eax, %eax\n"
	"  jz 1f\n"
	"  call hidden_rdtsc\n"
	"1: ret\n"
	".byte 0x06, 0x0f, 0xa2, 0x48\n" /* data that would swallow what follows */
	"hidden_rdtsc:\n"
	"  jmp 3f\n"
	"  .byte 0x0f, 0x31, 0xb8\n" /* jumped over */
	"3: rdtsc\n"
	"  ret\n"
	".byte 0x0f, 0x31, 0x0f, 0x01, 0xd0\n"
	"hidden_tail:\n" /* jumped to */
	"  xor %ecx, %ecx\n"
	"  xgetbv\n"
	"  jmp *%rax\n"
	"looks_called:\n" /* runs into what is no instruction, so it is no code */
	"  rdtscp\n"
	"  .byte 0x06\n");

int start(void)
{
	int r;
	__asm__ volatile("call hidden_cpuid" : "=a"(r) : : "rcx", "rdx", "cc");
	return r;
}

void tail(void) { __asm__ volatile(".byte 0xe9\n .long hidden_tail - . - 4"); /* as from another object file */ }
void confused(void) { __asm__ volatile("call looks_called"); }
