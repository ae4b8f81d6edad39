/* Calls clock_gettime with all registers set and prints those after it. */
#include <elf.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <time.h>

struct {
	uint64_t gpr[16]; /* as numbered in encodings; rsp is not touched */
	uint64_t flags;
	uint8_t xmm[16][16];
} in, out;

/* The function as the dynamic linker finds it, without libc around it. */
static void *find_clock(void)
{
	char *base = (char *)getauxval(AT_SYSINFO_EHDR);
	Elf64_Ehdr *e = (void *)base;
	Elf64_Shdr *sh = (void *)(base + e->e_shoff);
	for (int i = 0; i < e->e_shnum; i++) {
		if (sh[i].sh_type != SHT_DYNSYM)
			continue;
		Elf64_Sym *s = (void *)(base + sh[i].sh_offset);
		char *names = base + sh[sh[i].sh_link].sh_offset;
		for (unsigned k = 0; k < sh[i].sh_size / sizeof *s; k++)
			if (!strcmp(names + s[k].st_name, "__vdso_clock_gettime"))
				return base + s[k].st_value;
	}
	return 0;
}

uint64_t saved_rbp, saved_rbx;
void *target;

/* Loads the registers from in, calls target, stores them to out. */
void call(void);
__asm__(
	".text\n.globl call\ncall:\n"
	"push %r12\n push %r13\n push %r14\n push %r15\n sub $8, %rsp\n"
	"mov %rbp, saved_rbp(%rip)\n mov %rbx, saved_rbx(%rip)\n"
	"movdqu in+136(%rip), %xmm0\n"
	"movdqu in+152(%rip), %xmm1\n"
	"movdqu in+248(%rip), %xmm7\n"
	"movdqu in+376(%rip), %xmm15\n"
	"mov in+0(%rip), %rax\n"
	"mov in+8(%rip), %rcx\n"
	"mov in+16(%rip), %rdx\n"
	"mov in+24(%rip), %rbx\n"
	"mov in+40(%rip), %rbp\n"
	"mov in+48(%rip), %rsi\n"
	"mov in+56(%rip), %rdi\n"
	"mov in+64(%rip), %r8\n"
	"mov in+72(%rip), %r9\n"
	"mov in+80(%rip), %r10\n"
	"mov in+88(%rip), %r11\n"
	"mov in+96(%rip), %r12\n"
	"mov in+104(%rip), %r13\n"
	"mov in+112(%rip), %r14\n"
	"mov in+120(%rip), %r15\n"
	"call *target(%rip)\n"
	"mov %rax, out+0(%rip)\n"
	"mov %rcx, out+8(%rip)\n"
	"mov %rdx, out+16(%rip)\n"
	"mov %rbx, out+24(%rip)\n"
	"mov %rbp, out+40(%rip)\n"
	"mov %rsi, out+48(%rip)\n"
	"mov %rdi, out+56(%rip)\n"
	"mov %r8, out+64(%rip)\n"
	"mov %r9, out+72(%rip)\n"
	"mov %r10, out+80(%rip)\n"
	"mov %r11, out+88(%rip)\n"
	"mov %r12, out+96(%rip)\n"
	"mov %r13, out+104(%rip)\n"
	"mov %r14, out+112(%rip)\n"
	"mov %r15, out+120(%rip)\n"
	"pushfq\n popq out+128(%rip)\n"
	"movdqu %xmm0, out+136(%rip)\n"
	"movdqu %xmm1, out+152(%rip)\n"
	"movdqu %xmm7, out+248(%rip)\n"
	"movdqu %xmm15, out+376(%rip)\n"
	"mov saved_rbp(%rip), %rbp\n mov saved_rbx(%rip), %rbx\n"
	"add $8, %rsp\n pop %r15\n pop %r14\n pop %r13\n pop %r12\n ret\n");

int main(void)
{
	void *fn = find_clock();
	static struct timespec ts;
	target = fn;
	if (!fn)
		return 2;
	for (int id = 0; id < 8; id++) {
		memset(&out, 0, sizeof out);
		for (int i = 0; i < 16; i++)
			in.gpr[i] = 0x1111111111111111ULL * i + id;
		memset(in.xmm, 0x5a + id, sizeof in.xmm);
		in.gpr[7] = id;
		in.gpr[6] = (uint64_t)&ts;
		call();
		printf("%d:", id);
		for (int i = 0; i < 16; i++)
			if (i != 4)
				printf(" %llx", (unsigned long long)out.gpr[i]);
		printf(" flags %llx", (unsigned long long)out.flags & 0x8d5);
		printf(" xmm %s\n", memcmp(&in.xmm[0], &out.xmm[0], 32) || memcmp(&in.xmm[7], &out.xmm[7], 16) ||
				memcmp(&in.xmm[15], &out.xmm[15], 16) ? "changed" : "kept");
	}
	return 0;
}
