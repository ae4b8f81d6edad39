#include "textflag.h"

#define SYS_write 1
#define SYS_exit_group 231
#define SYS_prlimit64 302
#define SYS_fcntl 72
#define F_GETFD 1
#define EBADF 9
#define RLIMIT_AS 9

// As in internal/headroom. It was tried: Go's runtime does not start with 760,000 KiB, and
// with 800,000 only at times.
#define LEAST (850000<<10)

// pyrr_entry is where the program begins if it is linked with -E pyrr_entry. Under a low
// limit of address space (ulimit -v) Go's runtime ends before the first line of Go, with a
// message that tells nobody what to do. And it opens /dev/null in place of each standard
// file that is closed, so that a program would find it open: which were is kept in notOpen.
TEXT pyrr_entry(SB),NOSPLIT|NOFRAME,$0
	MOVL	$SYS_prlimit64, AX
	XORL	DI, DI
	MOVL	$RLIMIT_AS, SI
	XORL	DX, DX
	LEAQ	-32(SP), R10
	SYSCALL
	TESTQ	AX, AX
	JNE	start
	CMPQ	-32(SP), $LEAST
	JCC	start
	MOVL	$SYS_write, AX
	MOVL	$2, DI
	LEAQ	tooLow<>(SB), SI
	MOVL	$165, DX
	SYSCALL
	MOVL	$SYS_exit_group, AX
	MOVL	$4, DI
	SYSCALL
start:
	XORL	R8, R8
	MOVL	$2, DI
closed:
	MOVL	$SYS_fcntl, AX
	MOVL	$F_GETFD, SI
	XORL	DX, DX
	SYSCALL
	ADDL	R8, R8
	CMPQ	AX, $-EBADF
	JNE	open
	INCL	R8
open:
	DECL	DI
	JGE	closed
	MOVL	R8, ·notOpen(SB)
	JMP	_rt0_amd64_linux(SB)

DATA	tooLow<>+0(SB)/8, $"pyrr: er"
DATA	tooLow<>+8(SB)/8, $"ror: uli"
DATA	tooLow<>+16(SB)/8, $"mit -v i"
DATA	tooLow<>+24(SB)/8, $"s too lo"
DATA	tooLow<>+32(SB)/8, $"w, pyrr "
DATA	tooLow<>+40(SB)/8, $"takes 85"
DATA	tooLow<>+48(SB)/8, $"0000: ra"
DATA	tooLow<>+56(SB)/8, $"ise it, "
DATA	tooLow<>+64(SB)/8, $"or limit"
DATA	tooLow<>+72(SB)/8, $" what is"
DATA	tooLow<>+80(SB)/8, $" really "
DATA	tooLow<>+88(SB)/8, $"used, by"
DATA	tooLow<>+96(SB)/8, $" a contr"
DATA	tooLow<>+104(SB)/8, $"ol group"
DATA	tooLow<>+112(SB)/8, $" (system"
DATA	tooLow<>+120(SB)/8, $"d-run -p"
DATA	tooLow<>+128(SB)/8, $" MemoryM"
DATA	tooLow<>+136(SB)/8, $"ax=\xe2\x80\xa6, "
DATA	tooLow<>+144(SB)/8, $"docker r"
DATA	tooLow<>+152(SB)/8, $"un --mem"
DATA	tooLow<>+160(SB)/8, $"ory)\x0a\x00\x00\x00"
GLOBL	tooLow<>(SB), RODATA, $168
